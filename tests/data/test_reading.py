"""The readers: any bytes give a DataError or a clean table; every format gives the same rows."""

import gzip
import json
from datetime import UTC
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from data.small_logs import START
from divrec.data import Files
from divrec.data.reading import (
    Columns,
    Format,
    as_numbers,
    canonical_events,
    canonical_items,
    content_hash,
    found_files,
    read_rows,
    whole_moments,
)
from divrec.errors import ConfigError, DataError

COLUMNS = Columns({"user_id": "user", "item_id": "item", "timestamp": "time", "quantity": "n"}, kind="buy")
WANTED = ["user", "item", "time", "n"]
ROWS = [(f"u{row % 5}", f"i{row % 7}", START + row, row % 3) for row in range(60)]
HEADER = b"user,item,time,n\n"
BYTES = st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))


def _read(path: Path, form: Format | None = None) -> pa.Table:
    return canonical_events(read_rows([path], WANTED, form or Format()), COLUMNS).read_all()


def _clean(table: pa.Table) -> None:
    """Canonical names and types, and no row without a reason where something could not be read."""
    assert table.schema.names == ["user_id", "item_id", "timestamp", "event", "quantity", "problem", "original"]
    assert table.schema.field("timestamp").type == pa.int64()
    assert table.schema.field("quantity").type == pa.float64()
    table.validate(full=True)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "parquet", "csv.gz", "jsonl.zst", "csv.zst", "jsonl.gz"])
@pytest.mark.parametrize("has_header", [False, True])
def test_any_bytes_give_an_error_or_a_clean_table(suffix: str, has_header: bool, tmp_path: Path) -> None:
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(content=BYTES)
    @example(content=b'"\n,,,\n')
    @example(content=b"\xff\xfe\x00")
    @example(content=b"[" * 5000)
    @example(content=b'{"user": "\\ud800", "item": 1e999, "time": 1, "n": NaN}\n{"user": [[1], {}]}')
    @example(content=b"a,b,c,d\n" * 30 + b"\x00\x00")
    def check(content: bytes) -> None:
        path = tmp_path / f"log.{suffix}"
        raw = HEADER + content if has_header else content
        path.write_bytes(gzip.compress(raw) if suffix.endswith("gz") and has_header else raw)
        try:
            table = _read(path)
        except DataError:
            return
        _clean(table)

    check()


def _write(folder: Path, kind: str) -> Path:
    path = folder / f"log.{kind}"
    lines = {
        "csv": "\n".join(["user,item,time,n", *(",".join(map(str, row)) for row in ROWS)]),
        "tsv": "\n".join(["user\titem\ttime\tn", *("\t".join(map(str, row)) for row in ROWS)]),
        "jsonl": "\n".join(json.dumps(dict(zip(WANTED, row, strict=True))) for row in ROWS),
    }
    base = kind.split(".")[0]
    if base == "parquet":
        columns = dict(zip(WANTED, map(list, zip(*ROWS, strict=True)), strict=True))
        pq.write_table(pa.table(columns), path)
    elif kind.endswith(".gz"):
        path.write_bytes(gzip.compress(lines[base].encode()))
    elif kind.endswith(".zst"):
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(lines[base].encode())
    else:
        path.write_text(lines[base])
    return path


@pytest.mark.parametrize(
    "kind", ["csv", "tsv", "jsonl", "parquet", "csv.gz", "csv.zst", "tsv.gz", "jsonl.gz", "jsonl.zst"]
)
def test_every_format_gives_the_same_rows(kind: str, tmp_path: Path) -> None:
    table = _read(_write(tmp_path, kind))
    _clean(table)
    assert (
        list(zip(*(table.column(n).to_pylist() for n in ("user_id", "item_id", "timestamp", "quantity")), strict=True))
        == ROWS
    )
    assert table.column("problem").null_count == len(ROWS)
    assert set(table.column("event").to_pylist()) == {"buy"}


def test_malformed_rows_keep_their_place_among_many(tmp_path: Path) -> None:
    good = [f"u{row},i{row},{START + row},1" for row in range(200_000)]
    bad = {0: "x", 17: "a,b", 99_999: "1,2,3,4,5,6", 200_000: "end,end"}
    lines = list(good)
    for place, text in sorted(bad.items()):
        lines.insert(place, text)
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["user,item,time,n", *lines]))
    table = _read(path)
    found = {place: text for place, text in enumerate(table.column("original").to_pylist()) if text is not None}
    assert found == {place: text for place, text in enumerate(lines) if text in bad.values()}
    assert table.num_rows == len(lines)


def test_ids_of_any_type_become_the_strings_that_people_write() -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "user": pa.array([17850.0, None, 0.5]),
            "item": pa.array([1, 2, 3], pa.int32()),
            "time": pa.array([START, START + 1, None], pa.timestamp("s")),
            "n": pa.array([1, 2, 3]).cast(pa.decimal128(24, 2)),
        }
    )
    table = canonical_events([batch], COLUMNS).read_all()
    assert table.column("user_id").to_pylist() == ["17850", None, "0.5"]
    assert table.column("item_id").to_pylist() == ["1", "2", "3"]
    assert table.column("timestamp").to_pylist() == [START, START + 1, None]
    assert table.column("quantity").to_pylist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        (["1704067200", " 1704067201 ", ""], [START, START + 1, None]),
        (["2024-01-01", "2024-01-01T01:00:00+01:00", "2024-01-01 00:00:01Z"], [START, START, START + 1]),
        (["1704067200.75", "soon", None], [START, None, None]),
        ([1.5, float("nan"), float("inf")], [1, None, None]),
        (pa.array([0, 19_723], pa.date32()), [0, START]),
        (pa.array([START * 1000], pa.timestamp("ms", "Asia/Tokyo")), [START]),
        (pa.array([2**64 - 1, 5], pa.uint64()), [None, 5]),
        ([True, None], [None, None]),
        (["9" * 30], [None]),
    ],
)
def test_moments_of_any_form(values, wanted: list) -> None:
    column = values if isinstance(values, pa.Array) else pa.array(values)
    assert whole_moments(column, UTC).to_pylist() == wanted


def test_numbers_that_are_none_become_null() -> None:
    assert as_numbers(pa.array(["1.5", "many", "inf", None])).to_pylist() == [1.5, None, None, None]
    assert as_numbers(pa.array([[1], [2]])).to_pylist() == [None, None]


def test_catalogue_lists_stay_lists_and_lists_inside_become_paths(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"id": 1, "c": [["Beauty", "Nails"], ["Gifts"]]}\n{"id": 2, "c": "Hair"}\n{"id": 3}\n')
    table = canonical_items(read_rows([path], ["id", "c"], Format()), {"item_id": "id", "categories": "c"})
    assert table.column("item_id").to_pylist() == ["1", "2", "3"]
    assert table.column("categories").to_pylist() == [["Beauty|Nails", "Gifts"], ["Hair"], None]


def test_globs_find_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "deep/c.csv", "x.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    names = [path.name for path in found_files("**/*.csv", tmp_path, "here")]
    assert names == ["a.csv", "b.csv", "c.csv"]
    assert [path.name for path in found_files(["b.csv", "*.csv"], tmp_path, "here")] == ["b.csv", "a.csv"]
    with pytest.raises(DataError, match="here: no such file"):
        found_files("*.parquet", tmp_path, "here")
    with pytest.raises(ConfigError, match="names no file"):
        found_files([], tmp_path, "here")


def test_the_content_decides_the_hash_and_the_path_does_not(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("same")
    second.write_text("same")
    assert content_hash([first]) == content_hash([second])
    second.write_text("other")
    assert content_hash([first]) != content_hash([second])
    assert content_hash([first, second]) != content_hash([second, first])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"columns": {"user_id": "u"}}, "item_id, timestamp"),
        ({"kind": None}, "either a column for event or one kind"),
        ({"time_zone": "Mars/Olympus"}, "no such time zone"),
        ({"encoding": "klingon"}, "no such encoding"),
        ({"format": "xls"}, "no such format"),
        ({"catalogue_columns": {"text": "t"}}, "which column is item_id"),
    ],
)
def test_mappings_without_sense_are_refused(arguments: dict, message: str) -> None:
    good = {
        "events": "e.csv",
        "catalogue": "c.csv",
        "columns": {"user_id": "u", "item_id": "i", "timestamp": "t"},
        "catalogue_columns": {"item_id": "i", "text": "t"},
        "kind": "buy",
    }
    with pytest.raises(ConfigError, match=message):
        Files(**(good | arguments))
