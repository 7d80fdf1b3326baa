"""Prepared datasets: content, order in time, fingerprint, and builds at once."""

import json
import threading
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from data.small_logs import DAY, START, Given, catalogue_table, event_table, regular_rows
from divrec.data import GlobalTime, Preparation, PreparedData, fingerprint, prepare
from divrec.errors import DataError
from divrec.schema import catalogue_features, evaluation_features, sequence_features

SPLIT = GlobalTime(2, 2)
LOGS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 8 * 4), st.just("purchase")),
    min_size=12,
    max_size=80,
)


def _log(events: list[tuple[int, int, int, str]]) -> Given:
    rows = [(f"u{user}", f"i{item}", START + quarter * DAY // 4, kind) for user, item, quarter, kind in events]
    return Given(event_table(rows), catalogue_table([f"i{item}" for item in range(10)]))


def _histories(prepared: PreparedData, split: str) -> dict[str, list[tuple[int, str]]]:
    ids = prepared.catalogue["item_id"]
    return {
        row["user_id"]: list(zip(row["times"], [ids[item] for item in row["items"]], strict=True))
        for row in prepared.splits[split]
    }


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=LOGS, repeats=st.sampled_from(["first", "keep"]))
def test_splits_are_those_of_a_plain_loop(events, repeats: str, tmp_path: Path) -> None:
    source = _log(events)
    try:
        prepared = prepare(source, Preparation(core=1, repeats=repeats), SPLIT, tmp_path)
    except DataError as error:
        assume("too short" not in str(error) and "no user is left" not in str(error))
        raise
    kept: dict[str, set[tuple[int, str]]] = defaultdict(set)
    for row in sorted(source.events.to_pylist(), key=lambda row: row["timestamp"]):
        known = {item for _, item in kept[row["user_id"]]}
        if repeats == "keep" or row["item_id"] not in known:
            kept[row["user_id"]].add((row["timestamp"], row["item_id"]))
    end = (max(row["timestamp"] for row in source.events.to_pylist()) // DAY + 1) * DAY
    bounds = {
        "train": (end - 4 * DAY, None),
        "validation": (end - 4 * DAY, end - 2 * DAY),
        "test": (end - 2 * DAY, end),
    }
    ids = prepared.catalogue["item_id"]
    for name, (start, stop) in bounds.items():
        past = {user: {event for event in log if event[0] < start} for user, log in kept.items()}
        wanted = {user: log for user, log in past.items() if log}
        if stop is not None:
            new = {user: {item for time, item in log if start <= time < stop} for user, log in kept.items()}
            wanted = {user: log for user, log in wanted.items() if new[user]}
            targets = {row["user_id"]: [ids[item] for item in row["targets"]] for row in prepared.splits[name]}
            assert {user: sorted(items) for user, items in targets.items()} == {
                user: sorted(new[user]) for user in wanted
            }
        found = _histories(prepared, name)
        assert {user: sorted(log) for user, log in found.items()} == {user: sorted(log) for user, log in wanted.items()}
        for log in found.values():
            assert [time for time, _ in log] == sorted(time for time, _ in log)


def test_no_training_event_is_later_than_a_validation_event(shop: PreparedData) -> None:
    last = {name: max(max(times) for times in shop.splits[name]["times"]) for name in ("train", "validation", "test")}
    facts = shop.manifest["splits"]
    assert facts["validation"]["end"] == facts["test"]["start"]
    start = START + (60 - 20) * DAY
    assert last["train"] < start
    assert last["validation"] < start
    assert start <= last["test"] < start + 10 * DAY  # its history has the validation window


def test_targets_are_new_to_the_user_and_of_target_kinds(shop: PreparedData) -> None:
    assert shop.manifest["event_kinds"] == ["view", "cart", "purchase"]
    for name in ("validation", "test"):
        rows = list(shop.splits[name])
        assert len(rows) > 50
        assert all(set(row["items"]).isdisjoint(row["targets"]) for row in rows)
        assert all(len(set(row["items"])) == len(row["items"]) for row in rows)
    kinds = {kind for row in shop.splits["train"] for kind in row["events"]}
    assert kinds == {0, 1, 2}


def test_a_view_in_an_earlier_moment_takes_the_purchase_from_the_targets(build) -> None:
    rows = [
        *[("u", f"i{day}", START + day * DAY, "purchase") for day in range(6)],
        *[("u", f"j{day}", START + day * DAY, "purchase") for day in (6, 7, 8, 9)],
        ("u", "viewed", START + 1, "view"),
        ("u", "viewed", START + 9 * DAY, "purchase"),
        ("u", "at once", START + 9 * DAY, "view"),
        ("u", "at once", START + 9 * DAY, "purchase"),
        ("u", "only viewed", START + 9 * DAY, "view"),
    ]
    preparation = Preparation(core=1, event_weights={"view": 0.2, "purchase": 1.0}, roles={"view": "input"})
    prepared = build(rows, preparation, SPLIT)
    ids = prepared.catalogue["item_id"]
    assert {ids[item] for item in prepared.splits["test"][0]["targets"]} == {"j8", "j9", "at once"}


def test_manifest_counts_what_lies_on_disk(shop: PreparedData) -> None:
    manifest = shop.manifest
    assert manifest == json.loads((shop.path / "manifest.json").read_text())
    assert shop.path.name == f"synthetic-{manifest['fingerprint']}"
    assert manifest["items"] == len(shop.catalogue)
    assert manifest["splits"]["train"]["users"] == len(shop.splits["train"])
    assert manifest["splits"]["train"]["events"] == sum(shop.catalogue["count"])
    assert manifest["splits"]["train"]["events"] == sum(len(items) for items in shop.splits["train"]["items"])
    assert manifest["splits"]["test"]["targets"] == sum(len(items) for items in shop.splits["test"]["targets"])
    codes = [code for codes in shop.catalogue["categories"] for code in codes]
    assert set(codes) == set(range(len(manifest["category_names"])))
    assert {len(codes) for codes in shop.catalogue["categories"]} == {1, 2}


def test_features_are_those_of_the_schema(shop: PreparedData) -> None:
    assert shop.splits["train"].features == sequence_features()
    assert shop.splits["test"].features == evaluation_features()
    assert shop.catalogue.features == catalogue_features()


@pytest.mark.parametrize(
    ("categories", "names", "lists"),
    [
        (pa.array(["b", None, "a"]), ["a", "b", "unknown"], [[1], [2], [0]]),
        (pa.array([["b", "a"], [], ["a", "a", None]]), ["a", "b", "unknown"], [[0, 1], [2], [0]]),
        (pa.nulls(3), [], [[], [], []]),
        (None, [], [[], [], []]),
    ],
)
def test_categories_as_names_or_lists_or_not_at_all(categories, names, lists, tmp_path: Path) -> None:
    items = ["i0", "i1", "i2"]
    rows = [("u", items[day % 3], START + day * DAY, "purchase") for day in range(9)]
    catalogue = catalogue_table(items).drop_columns("categories")
    if categories is not None:
        catalogue = catalogue.append_column("categories", categories)
    prepared = prepare(Given(event_table(rows), catalogue), Preparation(core=1, repeats="keep"), SPLIT, tmp_path)
    assert prepared.manifest["category_names"] == names
    found = dict(zip(prepared.catalogue["item_id"], prepared.catalogue["categories"], strict=True))
    assert [found[item] for item in items] == lists


def test_order_of_rows_changes_nothing_and_the_seed_does(tmp_path: Path) -> None:
    rows = regular_rows()
    catalogue = catalogue_table([f"i{item}" for item in range(8)])
    settings = Preparation(core=1, repeats="keep")

    def built(rows: list, preparation: Preparation, folder: str) -> PreparedData:
        return prepare(Given(event_table(rows), catalogue), preparation, SPLIT, tmp_path / folder)

    one, other = built(rows, settings, "a"), built(rows[::-1], settings, "b")
    assert list(one.splits["train"]) == list(other.splits["train"])
    assert list(one.catalogue) == list(other.catalogue)
    reseeded = built(rows, Preparation(core=1, repeats="keep", seed=1), "c")
    assert one.catalogue["item_id"] != reseeded.catalogue["item_id"]
    assert sorted(one.catalogue["item_id"]) == sorted(reseeded.catalogue["item_id"])
    assert _histories(one, "train") != _histories(reseeded, "train")  # ties stand in another order


def test_fingerprint_depends_on_source_settings_and_split(given: Given, settings: Preparation) -> None:
    other = Given(given.events.slice(1), given.catalogue)
    marks = {
        fingerprint(given, settings, SPLIT),
        fingerprint(other, settings, SPLIT),
        fingerprint(given, Preparation(core=2, repeats="keep"), SPLIT),
        fingerprint(given, Preparation(core=1, repeats="keep", seed=1), SPLIT),
        fingerprint(given, settings, GlobalTime(2, 3)),
    }
    assert len(marks) == 5
    assert fingerprint(given, settings, SPLIT) == fingerprint(given, Preparation(core=1, repeats="keep"), SPLIT)


def test_a_built_dataset_is_reused(given: Given, settings: Preparation, tmp_path: Path) -> None:
    first = prepare(given, settings, SPLIT, tmp_path)
    second = prepare(given, settings, SPLIT, tmp_path)
    assert first.path == second.path
    assert len(given.reads) == 1
    assert [path.name for path in tmp_path.iterdir()] == [first.path.name]


def test_builds_at_once_both_end_well(settings: Preparation, tmp_path: Path) -> None:
    meet = threading.Barrier(2, timeout=30)

    class Slow(Given):
        def read(self):  # both have found no folder by now
            meet.wait()
            return super().read()

    source = Slow(event_table(regular_rows()), catalogue_table([f"i{item}" for item in range(8)]))
    results: list[PreparedData] = []
    threads = [
        threading.Thread(target=lambda: results.append(prepare(source, settings, SPLIT, tmp_path))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(source.reads) == len(results) == 2
    assert results[0].path == results[1].path
    assert list(results[0].splits["test"]) == list(results[1].splits["test"])
    assert [path.name for path in tmp_path.iterdir()] == [results[0].path.name]


def test_a_broken_folder_is_not_taken_for_a_dataset(given: Given, settings: Preparation, tmp_path: Path) -> None:
    path = prepare(given, settings, SPLIT, tmp_path).path
    (path / "manifest.json").unlink()
    with pytest.raises(DataError, match="not a whole dataset.*Delete the folder"):
        prepare(given, settings, SPLIT, tmp_path)


def test_users_and_items_without_training_events_are_named(build, caplog) -> None:
    rows = [
        *regular_rows(items=8),
        ("late", "i1", START + 11 * DAY, "purchase"),
        ("u1", "new", START + 11 * DAY, "purchase"),
    ]
    prepared = build(rows, Preparation(core=1, repeats="keep"), SPLIT)
    assert prepared.manifest["left_out"]["users without training events"] == 1
    assert prepared.manifest["left_out"]["items without training events"] == 1
    assert "1 of 7 users have no training events" in caplog.text
    assert "1 of 9 items have no training events" in caplog.text
    assert dict(zip(prepared.catalogue["item_id"], prepared.catalogue["count"], strict=True))["new"] == 0
