"""The table of bad input: broken logs and catalogues as files, and what the door does with each by default.

A case changes a good pair of files. `REFUSED` are errors with the words that must be in them; `SET_ASIDE` and `MENDED`
are counts by rule in the manifest; `TAKEN` must go through without a word.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data.small_logs import DAY, START
from divrec.data import Files, GlobalTime, Preparation, PreparedData, Validation, prepare
from divrec.errors import ConfigError, DataError

GOOD = [
    f"u{user},i{(user + 2 * day + place) % 8},{START + day * DAY + user},1"
    for day in range(12)
    for user in range(6)
    for place in range(2)
]
ITEMS = [f"i{item},text of {item},category {item % 3}" for item in range(8)]
HEADER, ITEM_HEADER = "user,item,time,quantity", "item,text,category"


@dataclass
class Shop:
    """Files as they will be written, and how the source is told to read them."""

    header: str = HEADER
    rows: list[str] = field(default_factory=lambda: list(GOOD))
    item_header: str = ITEM_HEADER
    items: list[str] = field(default_factory=lambda: list(ITEMS))
    raw: bytes | None = None
    raw_items: bytes | None = None
    options: dict = field(default_factory=dict)
    validation: Validation = field(default_factory=Validation)
    name: str = "events.csv"

    def source(self, folder: Path) -> Files:
        raw = self.raw if self.raw is not None else "\n".join([self.header, *self.rows]).encode()
        items = self.raw_items if self.raw_items is not None else "\n".join([self.item_header, *self.items]).encode()
        (folder / self.name).write_bytes(raw)
        (folder / "catalogue.csv").write_bytes(items)
        names = {"user_id": "user", "item_id": "item", "timestamp": "time", "quantity": "quantity"}
        item_names = {"item_id": "item", "text": "text", "categories": "category"}
        arguments = {"columns": names, "catalogue_columns": item_names, "kind": "purchase", "root": str(folder)}
        return Files(self.name, "catalogue.csv", **(arguments | self.options))

    def prepare(self, folder: Path) -> PreparedData:
        settings = Preparation(core=1, repeats="keep", validation=self.validation)
        return prepare(self.source(folder), settings, GlobalTime(2, 2), folder / "datasets")


def plus(*rows: str, **changes) -> Callable[[], Shop]:
    """The good log with more rows."""
    return lambda: Shop(rows=[*GOOD, *rows], **changes)


def with_items(*items: str, **changes) -> Callable[[], Shop]:
    """The good catalogue with more rows."""
    return lambda: Shop(items=[*ITEMS, *items], **changes)


def each(change: Callable[[list[str]], list[str]], **changes) -> Callable[[], Shop]:
    """The good log with every row changed."""
    return lambda: Shop(rows=[",".join(change(row.split(","))) for row in GOOD], **changes)


def _iso(zone: str) -> Callable[[list[str]], list[str]]:
    def change(row: list[str]) -> list[str]:
        day, second = divmod(int(row[2]) - START, DAY)
        return [*row[:2], f"2024-01-{day + 1:02d}T00:00:{second:02d}{zone}", row[3]]

    return change


UTF16 = "\n".join([HEADER, *GOOD]).encode("utf-16")
LATIN = ("\n".join([ITEM_HEADER, *ITEMS[:-1], "i7,café,category 1"])).encode("latin-1")
LAST = START + 3 * DAY

REFUSED: dict[str, tuple[Callable[[], Shop], str]] = {
    "empty event file": (lambda: Shop(raw=b""), "the file is empty"),
    "header alone": (lambda: Shop(rows=[]), "events: the table is empty"),
    "blank file": (lambda: Shop(raw=b"\n \n\n"), "the file is empty"),
    "binary file": (lambda: Shop(raw=bytes(range(256)) * 8), "no column .*'user'"),
    "no user column": (lambda: Shop(header="customer,item,time,quantity"), "no column 'user'"),
    "column twice": (lambda: Shop(header="user,item,time,time"), "no column 'quantity'"),
    "user column twice": (
        lambda: Shop(header="user,item,time,quantity,user", rows=[f"{row},x" for row in GOOD]),
        "names user more than once",
    ),
    "wrong separator told": (lambda: Shop(options={"separator": ";"}), "separator ';'"),
    "one column of broken quotes": (lambda: Shop(header=f'"{HEADER}'), "no column"),
    "not gzip": (lambda: Shop(name="events.csv.gz"), "cannot be read as csv"),
    "not zstd": (lambda: Shop(name="events.csv.zst"), "cannot be read as csv"),
    "not parquet": (lambda: Shop(name="events.parquet"), "cannot be read as parquet"),
    "json array instead of lines": (lambda: Shop(name="events.jsonl", raw=b"[1, 2, 3]"), "row is not a JSON object"),
    "json without the keys": (lambda: Shop(name="events.jsonl", raw=b'{"a": 1}'), "no row has the key|no user"),
    "unknown suffix": (lambda: Shop(name="events.xlsx"), "does not tell the format"),
    "all users missing": (each(lambda row: ["", *row[1:]]), "no user id"),
    "all items unknown": (each(lambda row: [row[0], f"x{row[1]}", *row[2:]]), "item is not in the catalogue"),
    "dates that nobody can read": (each(lambda row: [*row[:2], "yesterday", row[3]]), "timestamp is not readable"),
    "times in days": (each(lambda row: [*row[:2], str(int(row[2]) // DAY), row[3]]), "before 1980 or after 2100"),
    "all in the future": (
        each(lambda row: row, validation=Validation(as_of="2020-01-01")),
        "event lies in the future",
    ),
    "all quantities negative": (each(lambda row: [*row[:3], "-1"]), "quantity is not positive"),
    "most rows with a field too many": (each(lambda row: [*row, "x"]), "another number of fields"),
    "users that differ by case": (
        plus(f"U1,i1,{LAST},1"),
        "differ only by case.*user_case",
    ),
    "empty catalogue": (lambda: Shop(raw_items=b""), "the file is empty"),
    "catalogue header alone": (lambda: Shop(items=[]), "catalogue: the table is empty"),
    "catalogue without text column": (lambda: Shop(item_header="item,title,category"), "no column 'text'"),
    "item twice": (with_items("i2,another text,category 1"), "more than once.*i2"),
    "items that differ by case": (with_items("I2,another text,category 1"), "item ids differ only by case"),
    "no texts": (lambda: Shop(items=[f"i{item},,c" for item in range(8)]), "catalogue: no text"),
    "catalogue in another encoding": (lambda: Shop(raw_items=LATIN), "not valid in the file's encoding.*cp1252"),
    "no such file": (lambda: Shop(options={"root": "/nowhere/at/all"}), "no such file"),
    "strict: one row without a user": (plus(f",i1,{LAST},1", validation=Validation(strict=True)), "no user id"),
    "strict: one id with a space": (plus(f" u1,i1,{LAST},1", validation=Validation(strict=True)), "has spaces"),
    "strict: one item without a text": (with_items("i9,,c", validation=Validation(strict=True)), "catalogue: no text"),
    "one row too many for a share of 0": (plus(f",i1,{LAST},1", validation=Validation(largest_share=0)), "no user id"),
}  # fmt: skip

SET_ASIDE: dict[str, tuple[Callable[[], Shop], dict[str, int]]] = {
    "no user": (plus(f",i1,{LAST},1", f"  ,i1,{LAST},1"), {"no user id": 2}),
    "no item": (plus(f"u1,,{LAST},1"), {"no item id": 1}),
    "no time": (plus("u1,i1,,1"), {"no timestamp": 1}),
    "time of words": (plus("u1,i1,soon,1", "u1,i1,2024-13-45,1"), {"timestamp is not readable": 2}),
    "time zero": (plus("u1,i1,0,1", "u1,i1,-5,1"), {"timestamp is before 1980 or after 2100": 2}),
    "time that overflows": (plus(f"u1,i1,{10**30},1"), {"timestamp is not readable": 1}),
    "future": (plus("u1,i1,2099-01-01,1"), {"event lies in the future": 1}),
    "unknown item": (plus(f"u1,gone,{LAST},1"), {"item is not in the catalogue": 1}),
    "negative quantity": (plus(f"u1,i1,{LAST},-2", f"u1,i1,{LAST},0"), {"quantity is not positive": 2}),
    "quantity of words": (plus(f"u1,i1,{LAST},many"), {"quantity is not a number": 1}),
    "too few fields": (plus("u1,i1"), {"row has another number of fields than the header": 1}),
    "too many fields": (plus(f"u1,i1,{LAST},1,2,3"), {"row has another number of fields than the header": 1}),
    "mixed separators": (plus(f"u1;i1;{LAST};1"), {"row has another number of fields than the header": 1}),
    "huge id": (plus(f"{'u' * 10_000},i1,{LAST},1"), {"id is longer than 256 characters": 1}),
    "text that is none": (
        lambda: Shop(raw="\n".join([HEADER, *GOOD]).encode() + f"\nu\xff,i1,{LAST},1".encode("latin-1")),
        {"text is not valid in the file's encoding": 1},
    ),
    "item without text": (with_items("i8,,c"), {"catalogue: no text": 1}),
    "item without id": (with_items(",text,c"), {"catalogue: no item id": 1}),
    "catalogue row cut short": (with_items("i8"), {"catalogue: row has another number of fields than the header": 1}),
    "item set aside takes its events": (
        lambda: Shop(items=["i0,,c", *ITEMS[1:]]),
        {"catalogue: no text": 1, "item is not in the catalogue": sum(",i0," in row for row in GOOD)},
    ),
    "duplicate items by rule": (
        with_items("i2,other,c", validation=Validation(rules={"catalogue_duplicate": "set_aside"})),
        {"catalogue: an item stands in the catalogue more than once": 1},
    ),
    "duplicate events by rule": (
        plus(GOOD[0], GOOD[0], validation=Validation(rules={"duplicate": "set_aside"})),
        {"event repeats an earlier row": 2},
    ),
    "a row counts under its first rule": (plus(",gone,,-1"), {"no user id": 1}),
}  # fmt: skip

MENDED: dict[str, tuple[Callable[[], Shop], dict[str, int]]] = {
    "spaces around ids": (
        plus(f" u1 ,i1,{LAST},1", f"u1,i1 ,{LAST},1"),
        {"user_id has spaces around it": 1, "item_id has spaces around it": 1},
    ),
    "milliseconds": (
        each(lambda row: [*row[:2], f"{row[2]}000", row[3]]),
        {"timestamp is in a finer unit than seconds": len(GOOD)},
    ),
    "microseconds in some rows": (plus(f"u1,i1,{LAST}000000,1"), {"timestamp is in a finer unit than seconds": 1}),
    "nanoseconds": (
        each(lambda row: [*row[:2], f"{row[2]}000000000", row[3]]),
        {"timestamp is in a finer unit than seconds": len(GOOD)},
    ),
    "item of another case": (plus(f"u1,I1,{LAST},1"), {"item id differs from the catalogue's by case": 1}),
    "user of another case": (
        plus(f"U1,i1,{LAST},1", validation=Validation(rules={"user_case": "mend"})),
        {"user ids differ only by case": len([row for row in GOOD if row.startswith("u1,")])},
    ),
    "item twice": (
        with_items("i2,other,c", validation=Validation(rules={"catalogue_duplicate": "mend"})),
        {"catalogue: an item stands in the catalogue more than once": 1},
    ),
    "huge text": (with_items(f"i8,{'word ' * 10_000},c"), {"catalogue: text is longer than 20000 characters": 1}),
    "no text": (
        with_items("i8,,c", validation=Validation(rules={"catalogue_no_text": "mend"})),
        {"catalogue: no text": 1},
    ),
    "another encoding, accepted": (
        lambda: Shop(raw_items=LATIN, validation=Validation(rules={"catalogue_encoding": "mend"})),
        {"catalogue: text is not valid in the file's encoding": 1},
    ),
}

TAKEN: dict[str, Callable[[], Shop]] = {
    "semicolons": lambda: Shop(header=HEADER.replace(",", ";"), rows=[row.replace(",", ";") for row in GOOD]),
    "tabs": lambda: Shop(header=HEADER.replace(",", "\t"), rows=[row.replace(",", "\t") for row in GOOD]),
    "utf-16": lambda: Shop(raw=UTF16),
    "byte order mark": lambda: Shop(raw=b"\xef\xbb\xbf" + "\n".join([HEADER, *GOOD]).encode()),
    "carriage returns": lambda: Shop(raw="\r\n".join([HEADER, *GOOD]).encode()),
    "latin-1, told": lambda: Shop(raw_items=LATIN, options={"catalogue_encoding": "latin-1"}),
    "quoted separator and line end": with_items('i8,"text, with\na line",c'),
    "ISO times": each(_iso("")),
    "ISO times in UTC": each(_iso("Z")),
    "case that carries meaning": plus(f"U1,i1,{LAST},1", validation=Validation(rules={"user_case": "keep"})),
    "returns kept": plus(f"u1,i1,{LAST},-1", validation=Validation(rules={"quantity": "keep"})),
    "more columns than needed": lambda: Shop(header=f"{HEADER},note", rows=[f"{row},x" for row in GOOD]),
    "empty lines": lambda: Shop(raw="\n\n".join([HEADER, *GOOD]).encode()),
}


def test_the_table_has_forty_cases_and_more() -> None:
    assert len(REFUSED) + len(SET_ASIDE) + len(MENDED) >= 60


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    shop, words = REFUSED[name]
    with pytest.raises(DataError, match=f"(?s){words}"):
        shop().prepare(tmp_path)
    assert not (tmp_path / "datasets").exists() or list((tmp_path / "datasets").iterdir()) == []


@pytest.mark.parametrize("name", SET_ASIDE)
def test_set_aside(name: str, tmp_path: Path) -> None:
    shop, counts = SET_ASIDE[name]
    prepared = shop().prepare(tmp_path)
    assert prepared.manifest["set_aside"] == counts
    quarantine = pq.read_table(prepared.path / "quarantine.parquet").to_pylist()
    assert sorted(row["rule"] for row in quarantine) == sorted(
        rule for rule, rows in counts.items() for _ in range(rows)
    )


@pytest.mark.parametrize("name", MENDED)
def test_mended(name: str, tmp_path: Path) -> None:
    shop, counts = MENDED[name]
    prepared = shop().prepare(tmp_path)
    assert prepared.manifest["mended"] == counts
    assert prepared.manifest["set_aside"] == {}


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str, tmp_path: Path) -> None:
    prepared = TAKEN[name]().prepare(tmp_path)
    assert prepared.manifest["set_aside"] == prepared.manifest["mended"] == {}
    assert prepared.manifest["events"] >= len(GOOD)


def test_times_of_any_unit_are_the_same_times(tmp_path: Path) -> None:
    plain = Shop()
    contents = set()
    for number, shop in enumerate(
        [plain, MENDED["milliseconds"][0](), MENDED["nanoseconds"][0](), TAKEN["ISO times"]()]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        contents.add(shop.prepare(folder).manifest["content"])
    assert len(contents) == 1


def test_quarantine_has_row_number_and_what_stood_there(tmp_path: Path) -> None:
    rows = [GOOD[0], "u1;broken", *GOOD[1:], "u9,i1,soon,1"]
    prepared = Shop(rows=rows).prepare(tmp_path)
    quarantine = pq.read_table(prepared.path / "quarantine.parquet").to_pylist()
    assert [(row["row"], row["original"]) for row in quarantine] == [(1, "u1;broken"), (len(rows) - 1, "soon")]


def test_time_zone_and_format_are_heeded(tmp_path: Path) -> None:
    rows = [f"u{n % 3},i{n % 8},{1 + n // 3:02d}.06.2024 01:30,1" for n in range(36)]
    options = {"time_zone": "Europe/Berlin", "time_format": "%d.%m.%Y %H:%M"}
    prepared = Shop(rows=rows, options=options).prepare(tmp_path)
    assert prepared.manifest["profile"]["time"]["first"] == "2024-05-31T23:30:00+00:00"


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"no_such_rule": "mend"}, "no such rule: no_such_rule.*Choose among"),
        ({"no_user": "mend"}, "rules.no_user.*Choose among refuse, set_aside"),
        ({"no_user": "keep"}, "rules.no_user: cannot be keep"),
        ({"no_user": "ignore"}, "must be refuse, set_aside, mend or keep"),
    ],
)
def test_rules_that_do_not_exist_are_refused(rules: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        Shop(validation=Validation(rules=rules)).prepare(tmp_path)


@pytest.mark.parametrize("settings", [{"largest_share": 2.0}, {"as_of": "soon"}])
def test_validation_without_sense_is_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        Validation(**settings)
