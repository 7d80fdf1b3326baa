"""From rows as they stand in a file to the canonical columns of a log or a catalogue. Types are told, not guessed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo

import pyarrow as pa
import pyarrow.compute as pc

from divrec.data.reading.moments import time_zone, whole_moments
from divrec.errors import ConfigError, DataError
from divrec.schema import CATEGORIES, EVENT, ITEM_ID, ORIGINAL, PROBLEM, QUANTITY, TIMESTAMP, USER_ID

EVENT_NAMES = (USER_ID, ITEM_ID, TIMESTAMP, EVENT, QUANTITY)
_NAMES = "data.source.columns"
TIME_IS_UNREADABLE = "timestamp is not readable"
QUANTITY_IS_UNREADABLE = "quantity is not a number"


@dataclass(frozen=True)
class Columns:
    """Which column of an event file is which.

    Attributes:
        names: canonical name -> name in the file, for user_id, item_id, timestamp and, where there are any, event and
            quantity; further canonical names of your own are kept for rules and quarantine.
        kind: kind of all events, where no column tells it.
        kinds: name of a kind in the file -> name that divrec shall use.
        time_zone: of timestamps that name none.
        time_format: as `strptime` takes it ("%d.%m.%Y %H:%M"); None = numbers and ISO 8601.
    """

    names: Mapping[str, str]
    kind: str | None = None
    kinds: Mapping[str, str] = field(default_factory=dict)
    time_zone: str = "UTC"
    time_format: str | None = None

    def __post_init__(self) -> None:
        """Refuse a mapping that lacks a column."""
        missing = [name for name in (USER_ID, ITEM_ID, TIMESTAMP) if name not in self.names]
        if missing:
            raise ConfigError(
                f"does not say which column is {', '.join(missing)}",
                where=_NAMES,
                got=dict(self.names),
                mend="Example: columns: {user_id: customer, item_id: sku, timestamp: bought_at}",
            )
        if (EVENT in self.names) == (self.kind is not None):
            raise ConfigError(
                "needs either a column for event or one kind for all events",
                where="data.source",
                mend="Give columns.event, or kind: purchase.",
            )
        time_zone(self.time_zone, "data.source.time_zone")


def named(columns: Mapping[str, str | None]) -> dict[str, str]:
    """A mapping without the canonical names that no column stands for."""
    return {name: column for name, column in columns.items() if column is not None}


def canonical_events(batches: Iterable[pa.RecordBatch], columns: Columns) -> pa.RecordBatchReader:
    """A stream of events with canonical names and types, one batch at a time.

    Args:
        batches: rows with the file's own names, and `problem` and `original` where the reader gave them.
        columns: which is which.
    """
    extra = [name for name in columns.names if name not in EVENT_NAMES]
    fields = [(USER_ID, pa.string()), (ITEM_ID, pa.string()), (TIMESTAMP, pa.int64()), (EVENT, pa.string())]
    if QUANTITY in columns.names:
        fields.append((QUANTITY, pa.float64()))
    fields += [(name, pa.string()) for name in (*extra, PROBLEM, ORIGINAL)]
    schema = pa.schema(fields)
    zone = time_zone(columns.time_zone, "data.source.time_zone")
    return pa.RecordBatchReader.from_batches(schema, (_events(batch, columns, schema, zone) for batch in batches))


def canonical_items(batches: Iterable[pa.RecordBatch], names: Mapping[str, str]) -> pa.Table:
    """A catalogue in memory: all named columns as strings, lists of strings where the file has lists.

    Args:
        batches: rows with the file's own names.
        names: canonical name -> name in the file; item_id, and text or the fields of a template.
    """
    tables = [_items(batch, names) for batch in batches]
    if not tables:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    return pa.concat_tables(tables, promote_options="permissive")


def _events(batch: pa.RecordBatch, columns: Columns, schema: pa.Schema, zone: tzinfo) -> pa.RecordBatch:
    taken = {name: _column(batch, column) for name, column in columns.names.items()}
    problem, original = (_given(batch, name) for name in (PROBLEM, ORIGINAL))
    result = {name: as_text(column) for name, column in taken.items()}
    times = whole_moments(taken[TIMESTAMP], zone, columns.time_format)
    problem, original = _note(problem, original, result[TIMESTAMP], times, TIME_IS_UNREADABLE)
    result[TIMESTAMP] = times
    if QUANTITY in taken:
        numbers = as_numbers(taken[QUANTITY])
        problem, original = _note(problem, original, result[QUANTITY], numbers, QUANTITY_IS_UNREADABLE)
        result[QUANTITY] = numbers
    if columns.kind is not None:
        result[EVENT] = pa.repeat(pa.scalar(columns.kind), len(batch))
    elif columns.kinds:
        result[EVENT] = _renamed(result[EVENT], columns.kinds)
    result |= {PROBLEM: problem, ORIGINAL: original}
    return pa.RecordBatch.from_arrays([result[name] for name in schema.names], schema=schema)


def _items(batch: pa.RecordBatch, names: Mapping[str, str]) -> pa.Table:
    arrays = {}
    for name, column in names.items():
        values = _column(batch, column)
        arrays[name] = _text_lists(values) if name == CATEGORIES else as_text(values)
    for name in (PROBLEM, ORIGINAL):
        if name in batch.schema.names:
            arrays[name] = _given(batch, name)
    return pa.table(arrays)


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    if name not in batch.schema.names:
        shown = [known for known in batch.schema.names if known not in (PROBLEM, ORIGINAL)]
        raise DataError(f"there is no column {name!r}", where=_NAMES, got=shown, mend="Use a name from the file.")
    column = batch.column(name)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _given(batch: pa.RecordBatch, name: str) -> pa.Array:
    return batch.column(name) if name in batch.schema.names else pa.nulls(len(batch), pa.string())


def _note(problem: pa.Array, original: pa.Array, before: pa.Array, after: pa.Array, name: str) -> tuple[pa.Array, ...]:
    """Name the rows where something stood before and nothing could be made of it."""
    something = pc.and_(before.is_valid(), pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(before), ""), False))
    lost = pc.and_(pc.and_(something, after.is_null()), problem.is_null())
    return pc.if_else(lost, name, problem), pc.if_else(lost, before, original)


def _renamed(kinds: pa.Array, names: Mapping[str, str]) -> pa.Array:
    encoded = kinds.dictionary_encode()
    renamed = [names.get(str(kind), kind) for kind in encoded.dictionary.to_pylist()]
    return pa.array(renamed, pa.string()).take(encoded.indices)


def as_text(column: pa.Array) -> pa.Array:
    """Any column as strings; whole numbers that were stored as floats (17850.0) lose their point."""
    kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_floating(kind):
        wide = column.cast(pa.float64())
        whole = pc.and_(pc.equal(wide, pc.floor(wide)), pc.less(pc.abs(wide), 2.0**53))
        digits = pc.if_else(whole, wide, None).cast(pa.int64(), safe=False).cast(pa.string())
        texts = pc.if_else(pc.is_nan(wide), None, wide).cast(pa.string())
        return pc.if_else(pc.fill_null(whole, False), digits, texts)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pc.binary_join(_text_lists(column), "; ")
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([_decoded(value) for value in column.to_pylist()], pa.string())


def as_numbers(column: pa.Array) -> pa.Array:
    """Any column as float64; what is no finite number becomes null."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        numbers = pa.array([_number(value) for value in column.to_pylist()], pa.float64())
    else:
        try:
            numbers = column.cast(pa.float64(), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return pa.nulls(len(column), pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, None)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _decoded(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return None if value is None else str(value)


def _text_lists(column: pa.Array) -> pa.Array:
    if not (pa.types.is_list(column.type) or pa.types.is_large_list(column.type)):
        return pa.array(
            [None if text is None else [text] for text in as_text(column).to_pylist()], pa.list_(pa.string())
        )
    if pa.types.is_string(column.type.value_type):
        return column.cast(pa.list_(pa.string()))
    return pa.array(list(_lists_of_text(column.to_pylist())), pa.list_(pa.string()))


def _lists_of_text(rows: Iterable[list[object] | None]) -> Iterator[list[str | None] | None]:
    for row in rows:
        yield None if row is None else [_decoded(value) for value in row]
