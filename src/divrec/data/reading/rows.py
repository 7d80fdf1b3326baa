"""Rows of a file of any format as Arrow batches with the file's own column names, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from divrec.data.reading.delimited import delimited_batches
from divrec.data.reading.json_lines import json_batches
from divrec.errors import ConfigError, DataError

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "csv",
    ".dat": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bz2"}
_BATCH = 1 << 16


@dataclass(frozen=True)
class Format:
    """How the rows of a file are written.

    Attributes:
        kind: csv, tsv, jsonl or parquet; None = by the name of the file (.csv, .tsv, .jsonl, .parquet, .gz, .zst).
        separator: between the fields of a line; None = found in the header (comma, semicolon, tab, pipe).
        encoding: of texts; a byte order mark is heeded anyway.
        header: names of the fields where the file has none; None = the first line has them.
        loose: JSON lines as Python writes dictionaries (single quotes), as Amazon's metadata of 2014.
    """

    kind: str | None = None
    separator: str | None = None
    encoding: str = "utf-8"
    header: tuple[str, ...] | None = None
    loose: bool = False

    def __post_init__(self) -> None:
        """Refuse formats and encodings that do not exist."""
        if self.kind is not None and self.kind not in _SUFFIXES.values():
            raise ConfigError(
                "no such format", where="data.source.format", got=self.kind, mend="csv, tsv, jsonl, parquet."
            )
        try:
            "".encode(self.encoding)
        except (LookupError, ValueError) as error:
            raise ConfigError("no such encoding", where="data.source.encoding", got=self.encoding) from error


def read_rows(files: Sequence[Path], wanted: Sequence[str], form: Format) -> Iterator[pa.RecordBatch]:
    """Batches of rows, file after file. Text formats add the columns `problem` and `original`.

    Args:
        files: in the order in which their rows are numbered.
        wanted: columns to read, by their names in the files; others are left where they are.
        form: how rows are written.

    Raises:
        DataError: a file is no such file, is broken, or lacks a column.
    """
    for path in files:
        kind = form.kind or _kind_of(path)
        try:
            if kind == "parquet":
                yield from _parquet_batches(path, wanted)
            elif kind == "jsonl":
                with _opened(path) as stream:
                    yield from json_batches(stream, wanted, str(path), form.encoding, form.loose)
            else:
                separator = "\t" if kind == "tsv" and form.separator is None else form.separator
                yield from delimited_batches(partial(_opened, path), wanted, str(path), separator, form)
        except (pa.ArrowException, OSError, EOFError, UnicodeError) as error:
            raise DataError(
                f"the file cannot be read as {kind} ({str(error).splitlines()[0][:160]})",
                where=str(path),
                mend="Check that it is whole, and its format, encoding and compression.",
            ) from error


def _kind_of(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in _COMPRESSED]
    if not suffixes or suffixes[-1] not in _SUFFIXES:
        raise DataError(
            "the name does not tell the format",
            where=str(path),
            mend="Give format: csv, tsv, jsonl or parquet, under data.source.",
        )
    return _SUFFIXES[suffixes[-1]]


def _opened(path: Path) -> BinaryIO:
    compression = _COMPRESSED.get(path.suffix.lower())
    raw = pa.OSFile(str(path), "rb")
    return cast("BinaryIO", raw if compression is None else pa.CompressedInputStream(raw, compression))


def _parquet_batches(path: Path, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        refuse_missing(wanted, names, str(path))
        yield from file.iter_batches(batch_size=_BATCH, columns=list(dict.fromkeys(wanted)))


def refuse_missing(wanted: Sequence[str], names: Sequence[str], where: str) -> None:
    """Refuse a file that lacks a wanted column."""
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(
            f"there is no column {', '.join(map(repr, missing))}",
            where=where,
            got=list(names),
            mend="Name the file's own columns under data.source, and check the separator.",
        )
