"""The door: what a log must look like, and which rows are set aside with a reason instead of being refused.

Refused (DataError): a missing column, a wrong type, an empty table, a catalogue that names an item twice, and a log of
which a single rule would set aside more than half. Set aside (quarantine): single rows that break a rule.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr.types import Table

from divrec.data.engine import Engine
from divrec.data.sources import RawLog, Rule
from divrec.errors import DataError
from divrec.schema import CATEGORIES, EVENT, ITEM_ID, ROW, RULE, TEXT, TIMESTAMP, USER_ID

# 1980-01-01 and 2100-01-01 in seconds: what lies outside is milliseconds, days, or a default value.
EARLIEST, LATEST = 315_532_800, 4_102_444_800
LARGEST_SHARE_SET_ASIDE = 0.5
TABLE = "table"
_KNOWN = "item_is_known"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Admitted:
    """What came through the door.

    Attributes:
        events: user_id, item_id, timestamp, event; duplicates are still in.
        catalogue: item_id, text and, where the source has them, categories; item ids are unique.
        quarantine: table ("events" or "catalogue"), row (from 0, in the source's order), rule, and all columns of the
            source as strings.
        set_aside: rows by rule; rules that no row broke are left out.
    """

    events: Table
    catalogue: pa.Table
    quarantine: pa.Table
    set_aside: dict[str, int]


def admit(log: RawLog, event_kinds: Sequence[str], engine: Engine) -> Admitted:
    """Check a log and its catalogue and set aside the rows that cannot be used.

    Args:
        log: as the source gave it.
        event_kinds: kinds of event that have a weight; events of other kinds are set aside.
        engine: runs the rules.

    Raises:
        DataError: the log cannot be used; the message names table, column and remedy.
    """
    _check_columns(log.events, "events", {USER_ID: _STRING, ITEM_ID: _STRING, TIMESTAMP: _WHOLE, EVENT: _STRING})
    _check_columns(log.catalogue, "catalogue", {ITEM_ID: _STRING, TEXT: _STRING})
    if CATEGORIES in log.catalogue.column_names:
        _check_columns(log.catalogue, "catalogue", {CATEGORIES: _NAMES})
    items, catalogue_aside = _divide(engine.load(_numbered(log.catalogue)), _CATALOGUE_RULES, engine, "catalogue")
    _refuse_duplicate_items(items)

    events = engine.load(_numbered(log.events))
    known = items.select(ITEM_ID).mutate(**{_KNOWN: True})
    marked = engine.materialize(events.left_join(known, ITEM_ID).drop(f"{ITEM_ID}_right"))
    kept, events_aside = _divide(marked, (*_event_rules(event_kinds), *log.rules), engine, "events")
    quarantine = pa.concat_tables([_as_strings(events_aside), _as_strings(catalogue_aside)], promote_options="default")
    columns = [name for name in (ITEM_ID, TEXT, CATEGORIES) if name in items.columns]
    return Admitted(
        events=kept.select(USER_ID, ITEM_ID, TIMESTAMP, EVENT),
        catalogue=items.order_by(ROW).select(*columns).to_pyarrow(),
        quarantine=quarantine,
        set_aside=_counts(quarantine.column(RULE)),
    )


# --- the rules; a row counts under the first one that it breaks -------------------------------------------------------


def _event_rules(event_kinds: Sequence[str]) -> tuple[Rule, ...]:
    return (
        Rule("no user id", lambda t: _blank(t[USER_ID]), "Give every event a user id."),
        Rule("no item id", lambda t: _blank(t[ITEM_ID]), "Give every event an item id."),
        Rule("no timestamp", lambda t: t[TIMESTAMP].isnull(), "Give every event a timestamp."),
        Rule(
            "timestamp is before 1980 or after 2100",
            lambda t: (t[TIMESTAMP] < EARLIEST) | (t[TIMESTAMP] >= LATEST),
            "Timestamps are whole seconds since 1970; divide milliseconds by 1000.",
        ),
        Rule(
            "event kind has no weight",
            lambda t: t[EVENT].isnull() | t[EVENT].notin(list(event_kinds)),
            "Name the kind under preparation.event_weights; a weight of 0 leaves it out on purpose.",
        ),
        Rule(
            "item is not in the catalogue",
            lambda t: t[_KNOWN].isnull(),
            "Compare the item ids of log and catalogue: type, leading zeros, spaces.",
        ),
    )


def _blank(column: ibis.expr.types.StringValue) -> ibis.expr.types.BooleanValue:
    return column.isnull() | (column.strip() == "")


_CATALOGUE_RULES = (
    Rule("catalogue: no item id", lambda t: _blank(t[ITEM_ID]), "Give every item an id."),
    Rule("catalogue: no text", lambda t: _blank(t[TEXT]), "The language model needs a text for every item."),
)


def _divide(table: Table, rules: Sequence[Rule], engine: Engine, where: str) -> tuple[Table, pa.Table]:
    """The rows that break no rule, and the others with the name of the first rule they break."""
    cases = [(rule.broken(table), rule.name) for rule in rules]
    judged = engine.materialize(table.mutate(**{RULE: ibis.cases(*cases)}))
    aside = judged.filter(judged[RULE].notnull()).order_by(ROW).mutate(**{TABLE: ibis.literal(where)}).to_pyarrow()
    total = judged.count().to_pyarrow().as_py()
    for name, rows in _counts(aside.column(RULE)).items():
        rule = next(rule for rule in rules if rule.name == name)
        if rows > LARGEST_SHARE_SET_ASIDE * total:
            raise DataError(f"{rows} of {total} rows break the rule: {name}", where=where, mend=rule.mend)
        _logger.warning("%s: %d of %d rows set aside: %s. %s", where, rows, total, name, rule.mend)
    if aside.num_rows == total:
        raise DataError("no row is left after setting aside", where=where, got=_counts(aside.column(RULE)))
    return judged.filter(judged[RULE].isnull()), aside


def _refuse_duplicate_items(items: Table) -> None:
    again = items.group_by(ITEM_ID).agg(rows=items.count()).filter(lambda t: t.rows > 1)
    found = again.order_by(ITEM_ID).limit(3).to_pyarrow().column(ITEM_ID).to_pylist()
    if found:
        raise DataError(
            "an item stands in the catalogue more than once",
            where=f"catalogue, column {ITEM_ID}",
            got=found,
            mend="Keep one row an item.",
        )


# --- columns and types ------------------------------------------------------------------------------------------------


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_names(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_string(kind.value_type)
    return _is_string(kind) or bool(pa.types.is_null(kind))


_Expected = tuple[str, Callable[[pa.DataType], bool], str]
_STRING: _Expected = ("strings", _is_string, "Cast the column to strings.")
_WHOLE: _Expected = ("whole numbers", pa.types.is_integer, "Give whole seconds since 1970 as int64.")
_NAMES: _Expected = ("strings or lists of strings", _is_names, "Give category names, one or a list an item.")


def _check_columns(table: pa.Table, where: str, expected: dict[str, _Expected]) -> None:
    missing = [name for name in expected if name not in table.column_names]
    if missing:
        raise DataError(
            f"required columns are missing: {', '.join(missing)}",
            where=where,
            got=table.column_names,
            mend="Rename the columns or map them in the source.",
        )
    reserved = [name for name in (ROW, RULE, TABLE, _KNOWN) if name in table.column_names]
    if reserved:
        raise DataError(
            f"column names that divrec uses itself: {', '.join(reserved)}",
            where=where,
            mend="Rename or drop these columns.",
        )
    for name, (wanted, accepts, mend) in expected.items():
        kind = table.schema.field(name).type
        if not accepts(kind):
            raise DataError(f"must hold {wanted}", where=f"{where}, column {name}", got=str(kind), mend=mend)
    if table.num_rows == 0:
        raise DataError("the table is empty", where=where, mend="Check the source.")


def _numbered(table: pa.Table) -> pa.Table:
    return table.append_column(ROW, pa.array(np.arange(table.num_rows)))


def _as_strings(aside: pa.Table) -> pa.Table:
    first = [TABLE, ROW, RULE]
    originals = [name for name in aside.column_names if name not in (*first, _KNOWN)]
    texts = [_text(aside.column(name)) for name in originals]
    return pa.table([*(aside.column(name) for name in first), *texts], names=[*first, *originals])


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.binary_join(column.cast(pa.list_(pa.string())), "; ")
    return column.cast(pa.string())


def _counts(rules: pa.ChunkedArray) -> dict[str, int]:
    pairs = pc.value_counts(rules.combine_chunks()).to_pylist()
    return {pair["values"]: pair["counts"] for pair in sorted(pairs, key=lambda pair: str(pair["values"]))}
