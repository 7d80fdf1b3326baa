"""From bytes to strings, with the rows named whose bytes are no text."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

TEXT_IS_BROKEN = "text is not valid in the file's encoding"


DISGUISE = "latin-1"
_CHUNK = 1 << 20


def is_utf8(stream: BinaryIO) -> bool:
    """Whether all bytes of a stream are UTF-8; reads it to the end."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while chunk := stream.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def decoded(
    columns: Mapping[str, pa.Array], is_disguised: bool = False
) -> tuple[dict[str, pa.Array], pa.Array, pa.Array]:
    """Columns of UTF-8 bytes as strings; bytes that are none become the replacement character.

    Args:
        columns: name -> bytes.
        is_disguised: the bytes of the file were read as Latin-1 and stand here as that text.

    Returns:
        The columns, what is wrong with each row (null = nothing), and the first broken field of the row.
    """
    texts: dict[str, pa.Array] = {}
    length = len(next(iter(columns.values()))) if columns else 0
    broken: dict[int, str] = {}
    for name, column in columns.items():
        whole = None if is_disguised and not _is_ascii(column) else _as_strings(column)
        if whole is not None:
            texts[name] = whole
        else:
            values = [None if value is None else _mended(value, is_disguised) for value in column.to_pylist()]
            for row, value in enumerate(values):
                if value is not None and value[1]:
                    broken.setdefault(row, value[0])
            texts[name] = pa.array([None if value is None else value[0] for value in values], pa.string())
    if not broken:
        return texts, pa.nulls(length, pa.string()), pa.nulls(length, pa.string())
    problem = pa.array([TEXT_IS_BROKEN if row in broken else None for row in range(length)], pa.string())
    return texts, problem, pa.array([broken.get(row) for row in range(length)], pa.string())


def _is_ascii(column: pa.Array) -> bool:
    return pc.all(pc.string_is_ascii(column.cast(pa.string()))).as_py() is not False


def _as_strings(column: pa.Array) -> pa.Array | None:
    try:
        return column.cast(pa.string())
    except (pa.ArrowInvalid, UnicodeError):
        return None


def _mended(value: bytes, is_disguised: bool) -> tuple[str, bool]:
    if is_disguised:
        value = value.decode("utf-8").encode(DISGUISE)
    try:
        return value.decode("utf-8"), False
    except UnicodeDecodeError:
        return value.decode("utf-8", errors="replace"), True
