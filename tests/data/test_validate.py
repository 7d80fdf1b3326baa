"""The door: what is refused, what is set aside, and what the quarantine file says."""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.small_logs import DAY, START, Given, catalogue_table, event_table, regular_rows
from divrec.data import GlobalTime, Preparation, prepare
from divrec.errors import ConfigError, DataError

ITEMS = [f"i{item}" for item in range(8)]
GOOD = regular_rows()


def _events(change: Callable[[pa.Table], pa.Table]) -> Given:
    return Given(change(event_table(GOOD)), catalogue_table(ITEMS))


def _catalogue(change: Callable[[pa.Table], pa.Table]) -> Given:
    return Given(event_table(GOOD), change(catalogue_table(ITEMS)))


def _set(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def _map(table: pa.Table, name: str, change: Callable[[object], object]) -> pa.Table:
    return _set(table, name, pa.array([change(value) for value in table.column(name).to_pylist()]))


BROKEN = {
    "no user column": (lambda: _events(lambda t: t.drop_columns("user_id")), "required columns are missing: user_id"),
    "no time column": (lambda: _events(lambda t: t.drop_columns("timestamp")), "missing: timestamp"),
    "no event column": (lambda: _events(lambda t: t.drop_columns("event")), "missing: event"),
    "numeric users": (
        lambda: _events(lambda t: _map(t, "user_id", lambda value: int(str(value)[1:]))),
        "column user_id: must hold strings",
    ),
    "fractions of seconds": (
        lambda: _events(lambda t: _map(t, "timestamp", float)),
        "column timestamp: must hold whole numbers",
    ),
    "dates": (
        lambda: _events(lambda t: _set(t, "timestamp", t.column("timestamp").cast(pa.timestamp("s")))),
        "column timestamp: must hold whole numbers",
    ),
    "no user ids": (lambda: _events(lambda t: _set(t, "user_id", pa.nulls(len(GOOD), pa.string()))), "no user id"),
    "blank item ids": (lambda: _events(lambda t: _map(t, "item_id", lambda value: "  ")), "no item id"),
    "another catalogue": (lambda: _events(lambda t: _map(t, "item_id", lambda value: f"0{value}")), "leading zeros"),
    "another kind": (lambda: _events(lambda t: _map(t, "event", lambda value: "rent")), "event kind has no weight"),
    "no events": (lambda: _events(lambda t: t.slice(0, 0)), "events: the table is empty"),
    "reserved column": (
        lambda: _events(lambda t: t.append_column("rule", t.column("event"))),
        "divrec uses itself: rule",
    ),
    "no items": (lambda: _catalogue(lambda t: t.slice(0, 0)), "catalogue: the table is empty"),
    "no text column": (lambda: _catalogue(lambda t: t.drop_columns("text")), "missing: text"),
    "an item twice": (
        lambda: _catalogue(lambda t: pa.concat_tables([t, t.slice(2, 1)])),
        "more than once; got .*'i2'",
    ),
    "no texts": (lambda: _catalogue(lambda t: _map(t, "text", lambda value: " ")), "catalogue: no text"),
    "numeric categories": (
        lambda: _catalogue(lambda t: _set(t, "categories", pa.array(range(8)))),
        "column categories: must hold strings or lists",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_log_is_refused(name: str, tmp_path, settings: Preparation) -> None:
    source, message = BROKEN[name]
    with pytest.raises(DataError, match=message):
        prepare(source(), settings, GlobalTime(2, 2), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_short_log_is_refused(given: Given, tmp_path, settings: Preparation) -> None:
    with pytest.raises(DataError, match=r"too short.*12\.0 days of log for 6 \+ 6 days"):
        prepare(given, settings, GlobalTime(6, 6), tmp_path)


def test_empty_core_is_refused(given: Given, tmp_path) -> None:
    with pytest.raises(DataError, match="no user and item is left in the 9-core"):
        prepare(given, Preparation(core=9), GlobalTime(2, 2), tmp_path)


def test_empty_split_is_refused(tmp_path) -> None:
    everything_at_once = [(f"u{user}", f"i{item}", START, "purchase") for user in range(4) for item in range(7)]
    late = [("u0", "i7", START + 9 * DAY, "purchase")]
    source = Given(event_table(everything_at_once + late), catalogue_table(ITEMS))
    with pytest.raises(DataError, match="no user is left in the split validation"):
        prepare(source, Preparation(core=1), GlobalTime(2, 2), tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"core": 0}, "preparation.core: must be at least 1"),
        ({"repeats": "last"}, "preparation.repeats"),
        ({"event_weights": {"purchase": 2.0}}, r"must lie in \[0, 1\]"),
        ({"roles": {"view": "input"}}, "preparation.roles.*weight above 0"),
        ({"roles": {"purchase": "buy"}}, "preparation.roles.*input, target, both, removes"),
        ({"roles": {"purchase": "input"}}, "preparation.roles: no kind can be a target"),
        ({"roles": {"purchase": "target"}}, "preparation.roles: no kind can be read"),
        ({"event_weights": {"purchase": 0.0}}, "preparation.roles: no kind can be a target"),
    ],
)
def test_settings_without_sense_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Preparation(**arguments)


@pytest.mark.parametrize("days", [(0, 1), (1, 0)])
def test_windows_without_days_are_refused(days: tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="of at least 1"):
        GlobalTime(*days)


def test_quarantine_keeps_the_rows_with_their_rule(tmp_path, settings: Preparation, caplog) -> None:
    bad = [
        (None, "i1", START, "purchase"),
        ("u1", "", START, "purchase"),
        ("u1", "i1", None, "purchase"),
        ("u1", "i1", 0, "purchase"),
        ("u1", "i1", START, "rent"),
        ("u1", "i1", START, None),
        ("u1", "gone", START, "purchase"),
        (None, "gone", None, None),  # counts under the first rule that it breaks
    ]
    events = event_table([*GOOD, *bad]).append_column("shop", pa.array(range(len(GOOD) + len(bad))))
    catalogue = pa.concat_tables(
        [
            catalogue_table(ITEMS),
            pa.table({"item_id": [None, "dumb"], "text": ["text", None], "categories": ["c", "c"]}).cast(
                catalogue_table(ITEMS).schema
            ),
        ]
    )
    prepared = prepare(Given(events, catalogue), settings, GlobalTime(2, 2), tmp_path)
    assert prepared.manifest["set_aside"] == {
        "catalogue: no item id": 1,
        "catalogue: no text": 1,
        "event kind has no weight": 2,
        "item is not in the catalogue": 1,
        "no item id": 1,
        "no timestamp": 1,
        "no user id": 2,
        "timestamp is before 1980 or after 2100": 1,
    }
    quarantine = pq.read_table(prepared.path / "quarantine.parquet")
    assert all(quarantine.schema.field(name).type == pa.string() for name in ("timestamp", "shop", "text"))
    rows = quarantine.to_pylist()
    assert [row["row"] for row in rows if row["table"] == "events"] == [len(GOOD) + index for index in range(len(bad))]
    old = next(row for row in rows if row["rule"].startswith("timestamp"))
    assert (old["user_id"], old["timestamp"], old["shop"]) == ("u1", "0", str(len(GOOD) + 3))
    assert [row["text"] for row in rows if row["table"] == "catalogue"] == ["text", None]
    assert "item is not in the catalogue" in caplog.text
    assert prepared.manifest["events"] == len(GOOD)
