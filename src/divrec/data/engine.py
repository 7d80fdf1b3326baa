"""The engines that run the relational work: DuckDB in this process, or Spark; what they run is written once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.expr.types import Table

from divrec.errors import ConfigError

ENGINES = ("duckdb", "spark")


class Engine(Protocol):
    """Runs Ibis expressions; validation, deduplication, core and numbering are written once against this."""

    def load(self, table: pa.Table | pa.RecordBatchReader) -> Table:
        """An Arrow table, or a stream of batches, as an Ibis table of the engine."""
        ...

    def materialize(self, expression: Table) -> Table:
        """Compute an expression now and return the stored result."""
        ...

    def drop(self, table: Table) -> None:
        """Forget a stored result that nothing will read any more."""
        ...


@contextmanager
def open_engine(name: str, scratch: Path, memory: str | None = None) -> Iterator[Engine]:
    """An engine by name, with a folder for what does not fit into memory.

    Args:
        name: "duckdb" or "spark".
        scratch: folder for intermediate results; removed at the end.
        memory: what DuckDB may use, as "1GB": less = slower and more on disk; None = its own default, 80 % of the
            machine. Python's own tables come on top.

    Raises:
        ConfigError: there is no such engine, or its package is not installed.
    """
    if name not in ENGINES:
        raise ConfigError("no such engine", where="data.engine", got=name, mend=f"Choose among {', '.join(ENGINES)}.")
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        if name == "duckdb":
            with DuckDBEngine(scratch, memory) as duckdb:
                yield duckdb
        else:
            from divrec.data.spark import SparkEngine

            with SparkEngine(scratch) as spark:
                yield spark
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class DuckDBEngine:
    """DuckDB; use it as a context manager, leaving drops all tables.

    Results are stored as plain tables and Arrow tables are registered with the connection itself: `Table.cache()`,
    `drop_table` and `create_table` of an Arrow table all end in a parser error with Ibis 12 on DuckDB 2.0.

    Args:
        scratch: folder for the database file, for streams, and for what does not fit into memory; None = all in memory.
        memory: limit of DuckDB's own memory, as "1GB".
    """

    def __init__(self, scratch: Path | None = None, memory: str | None = None) -> None:
        self._scratch = scratch
        settings: dict[str, Any] = {"preserve_insertion_order": False}
        if memory is not None:
            settings["memory_limit"] = memory
        if scratch is not None:
            settings["temp_directory"] = str(scratch / "spill")
        # Only a limit on memory makes the file worth its time.
        database = str(scratch / "engine.duckdb") if scratch is not None and memory is not None else ":memory:"
        try:
            self._connection = ibis.duckdb.connect(database, **settings)
        except Exception as error:
            if memory is not None and "memory" in str(error).lower():
                raise ConfigError("no such amount", where="data.memory", got=memory, mend="Example: 1GB.") from error
            raise
        self._tables = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.disconnect()

    def load(self, table: pa.Table | pa.RecordBatchReader) -> Table:
        """A table without a copy; a stream by way of a Parquet file."""
        name = self._next_name()
        if isinstance(table, pa.RecordBatchReader):
            if self._scratch is None:
                table = table.read_all()
            else:
                return self._connection.read_parquet(
                    write_stream(table, self._scratch / f"{name}.parquet"), table_name=name
                )
        self._connection.con.register(name, table)
        return self._connection.table(name)

    def materialize(self, expression: Table) -> Table:
        """Compute an expression now and return the stored result."""
        return self._connection.create_table(self._next_name(), obj=expression)

    def drop(self, table: Table) -> None:
        """Forget a stored result."""
        self._connection.con.execute(f'DROP TABLE IF EXISTS "{table.get_name()}"')

    def _next_name(self) -> str:
        self._tables += 1
        return f"step_{self._tables}"


def write_stream(stream: pa.Table | pa.RecordBatchReader, path: Path) -> str:
    """Write batches to a Parquet file one by one and return its path."""
    with pq.ParquetWriter(path, stream.schema, compression="zstd", compression_level=1) as writer:
        batches = stream.to_batches() if isinstance(stream, pa.Table) else stream
        for batch in batches:
            writer.write_batch(batch)
    return str(path)
