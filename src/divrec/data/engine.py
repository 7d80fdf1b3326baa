"""The engine that runs the relational work: DuckDB in this process. Another engine needs the same two methods."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

import ibis
import pyarrow as pa
from ibis.expr.types import Table


class Engine(Protocol):
    """Runs Ibis expressions; validation, core and split are written once against this."""

    def load(self, table: pa.Table) -> Table:
        """An Arrow table as an Ibis table of the engine."""
        ...

    def materialize(self, expression: Table) -> Table:
        """Compute an expression now and return the stored result."""
        ...


class DuckDBEngine:
    """DuckDB in memory; use it as a context manager, leaving drops all tables.

    Results are stored as plain tables and Arrow tables are registered with the connection itself: `Table.cache()` and
    `create_table` of an Arrow table both end in a parser error with Ibis 12 on DuckDB 2.0.
    """

    def __init__(self) -> None:
        self._connection = ibis.duckdb.connect()
        self._tables = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.disconnect()

    def load(self, table: pa.Table) -> Table:
        """An Arrow table as an Ibis table of the engine, without a copy."""
        name = self._next_name()
        self._connection.con.register(name, table)
        return self._connection.table(name)

    def materialize(self, expression: Table) -> Table:
        """Compute an expression now and return the stored result."""
        return self._connection.create_table(self._next_name(), obj=expression)

    def _next_name(self) -> str:
        self._tables += 1
        return f"step_{self._tables}"
