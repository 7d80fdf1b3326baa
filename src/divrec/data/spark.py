"""Spark as an engine: the session that is running (a cluster), or a local one. Needs the extra `spark` and Java."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ibis
import pyarrow as pa
from ibis.expr.types import Table

from divrec.data.engine import write_stream
from divrec.errors import ConfigError


class SparkEngine:
    """PySpark through Ibis; use it as a context manager. A session that was running before goes on after it.

    Tables go in and results are kept as Parquet files in a folder that driver and executors both see (on a cluster: one
    on a shared file system, under `data.datasets_root`).

    Args:
        scratch: that folder.

    Raises:
        ConfigError: pyspark is not installed, or Java is missing.
    """

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch.resolve()
        self._session, self._is_own = _session()
        self._connection = ibis.pyspark.connect(self._session)
        self._tables = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_own:
            self._session.stop()

    def load(self, table: pa.Table | pa.RecordBatchReader) -> Table:
        """Tables and streams alike by way of a Parquet file."""
        name = self._next_name()
        return self._connection.read_parquet(write_stream(table, self._scratch / f"{name}.parquet"), table_name=name)

    def materialize(self, expression: Table) -> Table:
        """Compute an expression now, write it down, and return what was written: the plan stays short in long loops."""
        name = self._next_name()
        path = str(self._scratch / name)
        self._session.sql(self._connection.compile(expression)).write.parquet(path)
        return self._connection.read_parquet(path, table_name=name)

    def drop(self, table: Table) -> None:
        """Delete a stored result."""
        path = self._scratch / table.get_name()
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)

    def _next_name(self) -> str:
        self._tables += 1
        return f"step_{self._tables}"


def _session() -> tuple[Any, bool]:
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigError(
            "pyspark is not installed", where="data.engine", got="spark", mend='Run: pip install "divrec[spark]"'
        ) from error
    running = SparkSession.getActiveSession()
    if running is not None:
        return running, False
    try:
        builder = SparkSession.builder.appName("divrec").config("spark.sql.session.timeZone", "UTC")
        builder = builder.config("spark.ui.enabled", "false").config("spark.sql.shuffle.partitions", "8")
        return builder.getOrCreate(), True
    except Exception as error:
        raise ConfigError(
            f"Spark does not start ({str(error).splitlines()[0][:160]})",
            where="data.engine",
            got="spark",
            mend="Install Java 17 or later and set JAVA_HOME.",
        ) from error
