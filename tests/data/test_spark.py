"""Engine parity: Spark and DuckDB make the same content of the same log. Run by `make test-spark`."""

import importlib.util
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.small_logs import DAY, START, Given, catalogue_table, event_table
from divrec.data import ColdItem, GlobalTime, LeaveOneOut, Preparation, Resources, Synthetic, Validation, prepare

pytestmark = [
    pytest.mark.spark,
    pytest.mark.skipif(
        importlib.util.find_spec("pyspark") is None, reason='needs pyspark: pip install "divrec[spark]"'
    ),
    pytest.mark.skipif(shutil.which("java") is None and "JAVA_HOME" not in os.environ, reason="needs Java 17 or later"),
]

SHOP = Preparation(core=3, event_weights={"view": 0.2, "cart": 0.5, "purchase": 1.0}, roles={"view": "input"})
REMOVING = Preparation(
    core=1, repeats="keep", roles={"return": "removes"}, validation=Validation(rules={"quantity": "keep"})
)


@pytest.fixture(scope="module", autouse=True)
def session():
    """One session for all tests: starting one takes seconds."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.sql.shuffle.partitions", "2")
    builder = builder.config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


def _broken_log() -> Given:
    """Returns, duplicates, spaces, cases, milliseconds, unknown items, nulls, and text of several scripts."""
    rows = [
        (f"u{user}", f"i{(user + day) % 9}", START + day * DAY + user, "purchase")
        for day in range(12)
        for user in range(7)
    ]
    rows += [
        (" u1", "i1", START + 3600, "purchase"),
        ("u1", "I2", START + 3601, "purchase"),
        ("u2", "i3", (START + 3600) * 1000, "purchase"),
        ("u2", "i3", (START + 5 * DAY) * 1_000_000_000, "purchase"),
        (None, "i1", START, "purchase"),
        ("u3", "gone", START, "purchase"),
        ("u3", "i4", None, "purchase"),
        ("u3", "i4", 17, "purchase"),
        ("u1", "i2", START + 2 * DAY, "return"),
        ("u4", "i5", START + 11 * DAY, "return"),
        ("ü 用户", "i1", START + 1, "purchase"),
        ("ü 用户", "i2", START + 10 * DAY, "purchase"),
        ("🙂", "i3", START + 2, "purchase"),
        ("🙂", "i4", START + 11 * DAY, "purchase"),
        ("u5", "i1", START + DAY, "rent"),
    ]
    events = event_table([*rows, rows[0]])
    events = events.append_column("quantity", pa.array([1.0] * (len(rows) + 1)))
    return Given(events, catalogue_table([f"i{item}" for item in range(9)]))


CASES = {
    "shop": (Synthetic(users=80, items=60, days=40, categories=5), SHOP, GlobalTime(8, 8)),
    "shares": (Synthetic(users=80, items=60, days=40), SHOP, GlobalTime(validation_share=0.1, test_share=0.1)),
    "cold": (Synthetic(users=80, items=300, days=40, categories=5), SHOP, ColdItem(8, 8, only_new=False)),
    "broken": (_broken_log(), REMOVING, GlobalTime(2, 2)),
    "leave one out": (_broken_log(), REMOVING, LeaveOneOut()),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_both_engines_make_the_same_content(name: str, tmp_path: Path) -> None:
    source, settings, split = CASES[name]
    duckdb = prepare(source, settings, split, tmp_path / "duckdb")
    spark = prepare(source, settings, split, tmp_path / "spark", Resources("spark"))
    assert spark.path.name == duckdb.path.name
    assert spark.manifest == duckdb.manifest
    quarantines = [pq.read_table(each.path / "quarantine.parquet") for each in (duckdb, spark)]
    assert quarantines[0].cast(quarantines[1].schema).equals(quarantines[1])
    assert [path.name for path in (tmp_path / "spark").iterdir()] == [spark.path.name]
    assert duckdb.manifest["splits"]["test"]["targets"] > 0
