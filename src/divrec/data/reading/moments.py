"""Moments in whatever form a log has them, as whole numbers since the epoch.

Numbers keep their unit (the door tells seconds from milliseconds, microseconds and nanoseconds by their size); dates
and texts become seconds.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pyarrow as pa
import pyarrow.compute as pc

from divrec.errors import ConfigError

_NUMBER = re.compile(r"[+-]?\d{1,19}(\.\d*)?$")
_LARGEST = 2**63 - 1


def time_zone(name: str, where: str) -> tzinfo:
    """The zone of moments that name none.

    Raises:
        ConfigError: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError("no such time zone", where=where, got=name, mend="Example: Europe/Berlin.") from error


def whole_moments(column: pa.Array, zone: tzinfo, time_format: str | None = None) -> pa.Array:
    """A column of numbers, dates or texts as int64; what cannot be read becomes null.

    Args:
        column: any Arrow type.
        zone: of moments that name none.
        time_format: as `strptime` takes it, for texts; None = numbers and ISO 8601.
    """
    kind = column.type
    if pa.types.is_integer(kind):
        return _fitting(column)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _from_floats(column.cast(pa.float64()))
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(column.type):
        return _from_timestamps(column, zone)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return pa.nulls(len(column), pa.int64())
    return _from_texts(column, zone, time_format)


def _fitting(column: pa.Array) -> pa.Array:
    if pa.types.is_uint64(column.type):
        column = pc.if_else(pc.greater(column, pa.scalar(_LARGEST, pa.uint64())), None, column)
    return column.cast(pa.int64())


def _from_floats(column: pa.Array) -> pa.Array:
    usable = pc.and_(pc.is_finite(column), pc.less(pc.abs(column), 9e18))
    return pc.floor(pc.if_else(usable, column, None)).cast(pa.int64(), safe=False)


def _from_timestamps(column: pa.Array, zone: tzinfo) -> pa.Array:
    if column.type.tz is None and str(zone) != "UTC":
        column = pc.assume_timezone(column, str(zone), ambiguous="earliest", nonexistent="latest")
    seconds = column.cast(pa.timestamp("s", column.type.tz), safe=False)
    return seconds.cast(pa.int64())


def _from_texts(column: pa.Array, zone: tzinfo, time_format: str | None) -> pa.Array:
    texts = pc.utf8_trim_whitespace(column)
    if time_format is None:
        try:
            return texts.cast(pa.int64())
        except pa.ArrowInvalid:
            pass  # not all of them are plain numbers: one by one
    return pa.array([_moment(text, zone, time_format) for text in texts.to_pylist()], pa.int64())


def _moment(text: str | None, zone: tzinfo, time_format: str | None) -> int | None:
    if not text:
        return None
    try:
        if time_format is None and _NUMBER.match(text):
            number = int(text.split(".")[0])
            return number if abs(number) <= _LARGEST else None
        found = datetime.fromisoformat(text) if time_format is None else datetime.strptime(text, time_format)
        return int((found if found.tzinfo is not None else found.replace(tzinfo=zone)).timestamp() // 1)
    except (ValueError, OverflowError):
        return None
