"""JSON lines: an object a line; a line that is none is named and kept instead of ending the reading."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

from divrec.data.reading.decoding import TEXT_IS_BROKEN
from divrec.errors import DataError
from divrec.schema import ORIGINAL, PROBLEM

ROW_IS_NO_OBJECT = "row is not a JSON object"

_CHUNK, _LONGEST_LINE = 1 << 20, 1 << 26
_BATCH = 1 << 15
_SHOWN = 500
PATH_SEPARATOR = "|"  # joins a list inside a list: [["Beauty", "Nails"]] is one path


def json_batches(
    stream: BinaryIO, wanted: Sequence[str], where: str, encoding: str = "utf-8", loose: bool = False
) -> Iterator[pa.RecordBatch]:
    """Batches of the wanted keys, with `problem` and `original`; a key that a row lacks is null there.

    Scalars become strings. A list becomes a list of strings; a list inside it, one path.

    Args:
        stream: the (decompressed) file.
        wanted: keys; "a.b" is the key b inside a.
        where: path, for errors.
        encoding: of the file.
        loose: lines are Python literals.

    Raises:
        DataError: a line is longer than 64 MiB, or no row has one of the wanted keys.
    """
    parse: Callable[[str], object] = ast.literal_eval if loose else json.loads
    names = list(dict.fromkeys(wanted))
    rows: list[tuple[dict[str, Any], str | None, str | None]] = []
    met: set[str] = set()
    for line in _lines(stream, where):
        text = line.decode(encoding, errors="replace").lstrip("\ufeff").strip()
        if not text:
            continue
        rows.append(_row(text, names, parse))
        met |= rows[-1][0].keys()
        if len(rows) == _BATCH:
            yield _batch(rows, names)
            rows = []
    if rows:
        yield _batch(rows, names)
    if met and (absent := [name for name in names if name not in met]):
        raise DataError(
            f"no row has the key {', '.join(map(repr, absent))}",
            where=where,
            got=sorted(met),
            mend="Name the file's own keys under data.source.",
        )


def _lines(stream: BinaryIO, where: str) -> Iterator[bytes]:
    rest = b""
    while chunk := stream.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
        if len(rest) > _LONGEST_LINE:
            raise DataError("a line has no end", where=where, mend="JSON lines: one object a line.")
    yield rest


def _row(text: str, names: list[str], parse: Callable[[str], object]) -> tuple[dict[str, Any], str | None, str | None]:
    try:
        found = parse(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        found = None
    if not isinstance(found, dict):
        return {}, ROW_IS_NO_OBJECT, _clean(text[:_SHOWN])[0]
    taken, problem, original = {}, None, None
    for name in names:
        value = _inner(found, name)
        if value is None:
            continue
        taken[name], is_broken = _plain(value)
        if is_broken and problem is None:
            problem, original = TEXT_IS_BROKEN, str(taken[name])[:_SHOWN]
    return taken, problem, original


def _inner(found: dict[Any, Any], name: str) -> object:
    if name in found or "." not in name:
        return found.get(name)
    value: Any = found
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _plain(value: object) -> tuple[Any, bool]:
    if isinstance(value, list | tuple):
        parts = [_plain(PATH_SEPARATOR.join(map(str, each)) if isinstance(each, list) else each) for each in value]
        return [str(text) for text, _ in parts if text is not None], any(broken for _, broken in parts)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value)), False
    if isinstance(value, dict):
        return _clean(json.dumps(value, default=str))
    return (None, False) if value is None else _clean(str(value))


def _clean(text: str) -> tuple[str, bool]:
    """A text without lone surrogates and replacement characters told apart: both mean that bytes were lost."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", errors="replace").decode("utf-8"), True
    return text, "\ufffd" in text


def _batch(rows: list[tuple[dict[str, Any], str | None, str | None]], names: list[str]) -> pa.RecordBatch:
    columns = {}
    for name in names:
        values = [row[0].get(name) for row in rows]
        if any(isinstance(value, list) for value in values):
            lists = [value if isinstance(value, list) or value is None else [value] for value in values]
            columns[name] = pa.array(lists, pa.list_(pa.string()))
        else:
            columns[name] = pa.array(values, pa.string())
    columns[PROBLEM] = pa.array([row[1] for row in rows], pa.string())
    columns[ORIGINAL] = pa.array([row[2] for row in rows], pa.string())
    return pa.RecordBatch.from_pydict(columns)
