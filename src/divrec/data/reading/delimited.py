"""CSV and its relatives: every field a string, rows with another number of fields named instead of guessed at."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from divrec.data.reading.decoding import DISGUISE, decoded, is_utf8
from divrec.errors import DataError
from divrec.schema import ORIGINAL, PROBLEM

ROW_IS_MALFORMED = "row has another number of fields than the header"

_SEPARATORS = ",;\t|"
_BLOCK = 1 << 22
_LONGEST_HEADER = 1 << 20
_SHOWN = 500  # characters of a malformed row that are kept
# A mark at the very start of a file tells its encoding for certain.
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class Written(Protocol):
    """How the lines of a file are written; see `Format`."""

    @property
    def encoding(self) -> str:
        """Of texts."""
        ...

    @property
    def header(self) -> tuple[str, ...] | None:
        """Names of the fields where the file has none."""
        ...


def delimited_batches(
    opened: Callable[[], BinaryIO], wanted: Sequence[str], where: str, separator: str | None, form: Written
) -> Iterator[pa.RecordBatch]:
    """Batches of the wanted fields as strings, with `problem` and `original`.

    Args:
        opened: opens the (decompressed) file anew.
        wanted: names of fields.
        where: path, for errors.
        separator: None = the one that splits the header into the most wanted names.
        form: encoding and header.

    Raises:
        DataError: there is no header, it lacks a name or has one twice.
    """
    with opened() as stream:
        encoding, first = _first_line(stream, form.encoding, where)
    separator = separator or _separator_of(first, wanted)
    names = list(form.header) if form.header is not None else _fields(first, separator)
    _check_names(names, wanted, where, separator)
    # The parser hands malformed rows over as UTF-8 and has no way to say that they are none: such files go through it
    # as Latin-1, in which every byte is a letter, and are taken back afterwards.
    with opened() as stream:
        is_disguised = encoding.lower().replace("_", "-") in ("utf-8", "utf8") and not is_utf8(stream)
    if is_disguised:
        encoding = DISGUISE
    bad = _BadRows(has_header=form.header is None, is_disguised=is_disguised)
    unique = list(dict.fromkeys(wanted))
    with opened() as stream:
        yield from _batches(stream, names, unique, separator, (encoding, bad, form.header is None))


def _batches(
    stream: BinaryIO, names: list[str], wanted: list[str], separator: str, rest: tuple[str, _BadRows, bool]
) -> Iterator[pa.RecordBatch]:
    encoding, bad, has_header = rest
    options = {
        "read_options": pa_csv.ReadOptions(
            use_threads=False, block_size=_BLOCK, encoding=encoding, column_names=names, skip_rows=int(has_header)
        ),
        "parse_options": pa_csv.ParseOptions(
            delimiter=separator, newlines_in_values=True, invalid_row_handler=bad.note, ignore_empty_lines=True
        ),
        "convert_options": pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.binary()),
            include_columns=wanted,
            check_utf8=False,
            null_values=[""],
            strings_can_be_null=True,
        ),
    }
    try:
        reader = pa_csv.open_csv(stream, **options)
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error) or "Could not skip initial" in str(error):  # a header alone
            yield from _rest(bad, wanted)
            return
        raise
    for batch in reader:
        yield bad.merged(_decoded(batch, bad.is_disguised))
    yield from _rest(bad, wanted)


def _rest(bad: _BadRows, wanted: list[str]) -> Iterator[pa.RecordBatch]:
    if bad.waiting:
        empty = {name: pa.array([], pa.string()) for name in (*wanted, PROBLEM, ORIGINAL)}
        yield bad.merged(pa.RecordBatch.from_pydict(empty), last=True)


class _BadRows:
    """Rows with another number of fields; the parser may meet them ahead of the batch that it gives."""

    def __init__(self, has_header: bool, is_disguised: bool) -> None:
        self.is_disguised = is_disguised
        self.waiting: list[tuple[int, str]] = []
        self._first = 2 if has_header else 1  # the parser's number of the first row of data
        self._next = 0

    def note(self, row: pa_csv.InvalidRow) -> str:
        """Keep a row for later; the parser goes on."""
        text = row.text.encode(DISGUISE).decode("utf-8", errors="replace") if self.is_disguised else row.text
        self.waiting.append((row.number - self._first, text[:_SHOWN]))
        return "skip"

    def merged(self, batch: pa.RecordBatch, last: bool = False) -> pa.RecordBatch:
        """A batch with the bad rows that stand between its rows, all in the order of the file."""
        if not self.waiting:
            self._next += len(batch)
            return batch
        places, position = {place for place, _ in self.waiting}, self._next
        valid: list[int] = []
        while len(valid) < len(batch):
            if position not in places:
                valid.append(position)
            position += 1
        due = [row for row in self.waiting if last or row[0] < position]
        self.waiting = [row for row in self.waiting if row not in due]
        self._next = position
        columns = {name: pa.nulls(len(due), batch.schema.field(name).type) for name in batch.schema.names}
        columns[PROBLEM] = pa.array([ROW_IS_MALFORMED] * len(due), pa.string())
        columns[ORIGINAL] = pa.array([text for _, text in due], pa.string())
        both = pa.concat_batches([batch, pa.RecordBatch.from_pydict(columns, schema=batch.schema)])
        return both.take(pa.array(np.argsort([*valid, *(place for place, _ in due)], kind="stable")))


def _decoded(batch: pa.RecordBatch, is_disguised: bool) -> pa.RecordBatch:
    columns = {name: batch.column(name) for name in batch.schema.names}
    texts, problem, original = decoded(columns, is_disguised)
    return pa.RecordBatch.from_pydict({**texts, PROBLEM: problem, ORIGINAL: original})


def _first_line(stream: BinaryIO, encoding: str, where: str) -> tuple[str, str]:
    start = stream.read(_LONGEST_HEADER)
    if not start.strip():
        raise DataError("the file is empty", where=where, mend="Check the path.")
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), encoding)
    text = start.decode(encoding, errors="replace").lstrip("\ufeff\r\n")
    lines = text.splitlines()
    if not lines or len(lines[0]) >= _LONGEST_HEADER // 2:
        raise DataError("the first line is no header", where=where, mend="Check that the file is text.")
    return encoding, lines[0]


def _separator_of(line: str, wanted: Sequence[str]) -> str:
    def hits(separator: str) -> tuple[int, int]:
        fields = _fields(line, separator)
        return len(set(wanted) & set(fields)), len(fields)

    return max(_SEPARATORS, key=hits)


def _fields(line: str, separator: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=separator))]
    except (csv.Error, StopIteration):
        return [line]


def _check_names(names: list[str], wanted: Sequence[str], where: str, separator: str) -> None:
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(
            f"there is no column {', '.join(map(repr, missing))} in the header (separator {separator!r})",
            where=where,
            got=names,
            mend="Name the file's own columns under data.source, or give its separator.",
        )
    double = sorted({name for name in wanted if names.count(name) > 1})
    if double:
        raise DataError(f"the header names {', '.join(double)} more than once", where=where, got=names)
