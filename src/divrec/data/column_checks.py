"""Columns and types that a log and a catalogue must have before any row is looked at."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from divrec.data.rules import ADDED
from divrec.errors import DataError
from divrec.schema import CATEGORIES, EVENT, ITEM_ID, QUANTITY, ROW, RULE, TEXT, TIMESTAMP, USER_ID

_RESERVED = (ROW, RULE, *ADDED)


def check_events(events: pa.Table | pa.RecordBatchReader) -> None:
    """Refuse a log whose columns are not those of `RawLog`.

    Raises:
        DataError: a column is missing, reserved or of a wrong type, or the table is empty.
    """
    expected = {USER_ID: _STRING, ITEM_ID: _STRING, TIMESTAMP: _WHOLE, EVENT: _STRING}
    if QUANTITY in events.schema.names:
        expected[QUANTITY] = _NUMBER
    _check(events, "events", expected)


def check_catalogue(catalogue: pa.Table) -> None:
    """Refuse a catalogue whose columns are not those of `RawLog`.

    Raises:
        DataError: as `check_events`.
    """
    expected = {ITEM_ID: _STRING, TEXT: _STRING}
    if CATEGORIES in catalogue.column_names:
        expected[CATEGORIES] = _NAMES
    _check(catalogue, "catalogue", expected)


def _is_string(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_names(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _is_string(kind.value_type)
    return _is_string(kind) or bool(pa.types.is_null(kind))


_Expected = tuple[str, Callable[[pa.DataType], bool], str]
_STRING: _Expected = ("strings", _is_string, "Cast the column to strings.")
_WHOLE: _Expected = ("whole numbers", pa.types.is_integer, "Give whole seconds since 1970 as int64.")
_NUMBER: _Expected = ("numbers", _is_number, "Cast the column to numbers.")
_NAMES: _Expected = ("strings or lists of strings", _is_names, "Give category names, one or a list an item.")


def _check(table: pa.Table | pa.RecordBatchReader, where: str, expected: dict[str, _Expected]) -> None:
    names = table.schema.names
    missing = [name for name in expected if name not in names]
    if missing:
        raise DataError(
            f"required columns are missing: {', '.join(missing)}",
            where=where,
            got=names,
            mend="Rename the columns or map them in the source; a text template can stand in for a text.",
        )
    reserved = [name for name in _RESERVED if name in names]
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
    if isinstance(table, pa.Table) and table.num_rows == 0:
        raise DataError("the table is empty", where=where, mend="Check the source.")
