"""From bytes to strings, with the rows named whose bytes are no text."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

TEXT_IS_BROKEN = "text is not valid in the file's encoding"


def decoded(columns: Mapping[str, pa.Array]) -> tuple[dict[str, pa.Array], pa.Array, pa.Array]:
    """Columns of UTF-8 bytes as strings; bytes that are none become the replacement character.

    Returns:
        The columns, what is wrong with each row (null = nothing), and the first broken field of the row.
    """
    texts: dict[str, pa.Array] = {}
    length = len(next(iter(columns.values()))) if columns else 0
    broken: dict[int, str] = {}
    for name, column in columns.items():
        try:
            texts[name] = column.cast(pa.string())
        except (pa.ArrowInvalid, UnicodeError):
            values = [None if value is None else _mended(value) for value in column.to_pylist()]
            for row, value in enumerate(values):
                if value is not None and value[1]:
                    broken.setdefault(row, value[0])
            texts[name] = pa.array([None if value is None else value[0] for value in values], pa.string())
    if not broken:
        return texts, pa.nulls(length, pa.string()), pa.nulls(length, pa.string())
    problem = pa.array([TEXT_IS_BROKEN if row in broken else None for row in range(length)], pa.string())
    return texts, problem, pa.array([broken.get(row) for row in range(length)], pa.string())


def _mended(value: bytes) -> tuple[str, bool]:
    try:
        return value.decode("utf-8"), False
    except UnicodeDecodeError:
        return value.decode("utf-8", errors="replace"), True
