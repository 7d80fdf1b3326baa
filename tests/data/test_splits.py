"""The kinds of split: what each promises, against the log itself."""

import itertools

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from data.small_logs import DAY, START, Given, catalogue_table, event_table, regular_rows
from divrec.data import ColdItem, GlobalTime, ItemHoldout, LeaveOneOut, Preparation, UserHoldout, prepare
from divrec.errors import ConfigError, DataError

KEEP = Preparation(core=1, repeats="keep")
SPLITS = [
    GlobalTime(2, 2),
    GlobalTime(validation_share=0.2, test_share=0.2),
    GlobalTime(validation_start="2024-01-05", test_start="2024-01-07T12:00:00"),
    LeaveOneOut(),
    UserHoldout(0.3, 0.3),
    ItemHoldout(0.2, 0.3),
    ColdItem(2, 2, only_new=False),
]
EVALUATED = ("validation", "test")
LOGS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 8 * 4), st.just("purchase")),
    min_size=12,
    max_size=70,
)


def _log(events) -> Given:
    rows = [(f"u{user}", f"i{item}", START + quarter * DAY // 4, kind) for user, item, quarter, kind in events]
    return Given(event_table(rows), catalogue_table([f"i{item}" for item in range(10)]))


@pytest.mark.parametrize("split", SPLITS, ids=lambda split: split.name)
def test_no_history_reaches_the_time_of_its_targets(split, tmp_path) -> None:
    """For every kind of split: what is asked for came strictly after all that is seen."""

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(events=LOGS, repeats=st.sampled_from(["first", "keep"]))
    def check(events, repeats: str) -> None:
        source = _log(events)
        try:
            prepared = prepare(source, Preparation(core=1, repeats=repeats), split, tmp_path)
        except DataError as error:
            assume("too short" not in str(error) and "no user is left" not in str(error))
            raise
        times: dict[tuple[str, str], list[int]] = {}
        for row in source.events.to_pylist():
            times.setdefault((row["user_id"], row["item_id"]), []).append(row["timestamp"])
        ids = prepared.catalogue["item_id"]
        for name in ("validation", "test"):
            for row in prepared.splits[name]:
                assert row["items"]
                for target in row["targets"]:
                    assert max(times[row["user_id"], ids[target]]) > max(row["times"])
        by_user = {
            name: {row["user_id"]: max(row["times"]) for row in prepared.splits[name]}
            for name in ("train", "validation")
        }
        if split.name in ("global_time", "cold_item"):
            for earlier, later in itertools.product(by_user["train"].values(), by_user["validation"].values()):
                assert max(earlier, later) < START + 9 * DAY

    check()


def test_no_training_event_is_later_than_the_first_validation_event(tmp_path) -> None:
    rows = regular_rows()
    for split in SPLITS[:3]:
        prepared = prepare(_log_of(rows), KEEP, split, tmp_path)
        last = max(max(row["times"]) for row in prepared.splits["train"])
        ids = prepared.catalogue["item_id"]
        start = int(_moment(prepared.manifest["splits"]["validation"]["start"]))
        asked = {(row["user_id"], ids[target]) for row in prepared.splits["validation"] for target in row["targets"]}
        later = [time for user, item, time, _ in rows if (user, item) in asked and time >= start]
        assert last < start <= min(later)


def _moment(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def _log_of(rows) -> Given:
    return Given(event_table(rows), catalogue_table(sorted({row[1] for row in rows})))


def test_leave_one_out_asks_for_the_last_and_the_last_but_one(build) -> None:
    rows = [("u", f"i{day}", START + day * DAY, "purchase") for day in range(6)]
    rows += [("short", f"i{day}", START + day * DAY, "purchase") for day in range(2)]
    prepared = build(rows, Preparation(core=1), LeaveOneOut())
    ids = prepared.catalogue["item_id"]
    rows_of = {name: {row["user_id"]: row for row in prepared.splits[name]} for name in ("train", "validation", "test")}
    assert [ids[item] for item in rows_of["train"]["u"]["items"]] == ["i0", "i1", "i2", "i3"]
    assert [ids[item] for item in rows_of["validation"]["u"]["targets"]] == ["i4"]
    assert [ids[item] for item in rows_of["test"]["u"]["items"]] == ["i0", "i1", "i2", "i3", "i4"]
    assert [ids[item] for item in rows_of["test"]["u"]["targets"]] == ["i5"]
    assert set(rows_of["test"]) == {"u"}
    assert [ids[item] for item in rows_of["train"]["short"]["items"]] == ["i0", "i1"]


def test_leave_one_out_hides_what_shares_the_time_of_the_target(build) -> None:
    rows = [("u", f"i{day}", START + day * DAY, "purchase") for day in range(4)]
    rows += [("u", f"late{place}", START + 9 * DAY, "purchase") for place in range(3)]
    seen = set()
    for seed in range(6):
        prepared = build(rows, Preparation(core=1, seed=seed), LeaveOneOut())
        ids = prepared.catalogue["item_id"]
        test = prepared.splits["test"][0]
        assert len(test["targets"]) == 1
        assert {ids[item] for item in test["items"]} == {f"i{day}" for day in range(4)}
        seen.add(ids[test["targets"][0]])
    assert len(seen) > 1  # which of the tie it is, the seed decides


def test_held_out_users_are_not_trained_on(tmp_path) -> None:
    prepared = prepare(_log_of(regular_rows(users=20)), KEEP, UserHoldout(0.2, 0.3), tmp_path)
    users = {name: set(prepared.splits[name]["user_id"]) for name in ("train", "validation", "test")}
    assert {name: len(found) for name, found in users.items()} == {"train": 10, "validation": 4, "test": 6}
    assert not any(users[one] & users[other] for one, other in itertools.combinations(users, 2))
    assert {len(row["targets"]) for row in prepared.splits["test"]} == {2}


def test_held_out_items_are_asked_for_and_nowhere_else(tmp_path) -> None:
    rows = regular_rows(users=40)
    prepared = prepare(_log_of(rows), KEEP, ItemHoldout(0.2, 0.3), tmp_path)
    items = len(prepared.catalogue["item_id"])
    touched = {name: {i for row in prepared.splits[name] for i in row["items"]} for name in ("train", *EVALUATED)}
    asked = {name: {t for row in prepared.splits[name] for t in row["targets"]} for name in EVALUATED}
    assert asked["validation"]
    assert asked["test"]
    assert not asked["validation"] & asked["test"]
    for name in ("train", *EVALUATED):
        assert not touched[name] & (asked["validation"] | asked["test"])
    counts = prepared.catalogue["count"]
    known = sum(count > 0 for count in counts)
    assert known <= items - round(0.2 * items) - round(0.3 * items)
    assert all(counts[item] == 0 for item in asked["validation"] | asked["test"])
    ids = prepared.catalogue["item_id"]
    trained = {row["user_id"]: row["items"] for row in prepared.splits["train"]}
    for row in [row for name in EVALUATED for row in prepared.splits[name]]:
        assert sorted(trained[row["user_id"]]) == sorted(row["items"]), "nothing later than what is asked for"
    latest = {user: max(time for other, _, time, _ in rows if other == user) for user, *_ in rows}
    last = {(user, item) for user, item, time, _ in rows if time == latest[user]}
    for row in [row for name in EVALUATED for row in prepared.splits[name]]:
        assert [(row["user_id"], ids[target]) in last for target in row["targets"]] == [True]


def test_cold_items_are_kept_with_text_and_without_events(tmp_path) -> None:
    rows = regular_rows()
    rows += [("u1", "new", START + 11 * DAY, "purchase"), ("u2", "fresh", START + 9 * DAY, "purchase")]
    prepared = prepare(_log_of(rows), Preparation(core=3), ColdItem(2, 2), tmp_path)
    counts = dict(zip(prepared.catalogue["item_id"], prepared.catalogue["count"], strict=True))
    assert counts["new"] == counts["fresh"] == 0
    assert min(count for item, count in counts.items() if item not in ("new", "fresh")) >= 3
    ids = prepared.catalogue["item_id"]
    targets = {
        name: {ids[t] for row in prepared.splits[name] for t in row["targets"]} for name in ("validation", "test")
    }
    assert targets == {"validation": {"fresh"}, "test": {"new"}}
    warm = prepare(_log_of(rows), Preparation(core=3, repeats="keep"), GlobalTime(2, 2), tmp_path)
    assert "new" not in warm.catalogue["item_id"][:]


def test_shares_cut_between_timestamps(tmp_path) -> None:
    prepared = prepare(
        _log_of(regular_rows(users=10, days=20)), KEEP, GlobalTime(validation_share=0.1, test_share=0.2), tmp_path
    )
    events = prepared.manifest["splits"]["train"]["events"]
    assert 0.68 <= events / prepared.manifest["events"] <= 0.72


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GlobalTime(), "needs one pair"),
        (lambda: GlobalTime(3), "needs one pair"),
        (lambda: GlobalTime(3, 3, test_share=0.1, validation_share=0.1), "needs one pair"),
        (lambda: GlobalTime(validation_share=0.6, test_share=0.5), "leave a share for training"),
        (lambda: GlobalTime(validation_start="2024-02-01", test_start="2024-01-01"), "must lie before test_start"),
        (lambda: GlobalTime(validation_start="soon", test_start="later"), "must be an ISO date"),
        (lambda: UserHoldout(0.5, 0.5), "leave some for training"),
        (lambda: ItemHoldout(0.5, 0.5), "leave some for training"),
        (lambda: ItemHoldout(0.0, 0.5), "above 0"),
        (lambda: ColdItem(0, 2), "of at least 1"),
    ],
)
def test_splits_without_sense_are_refused(make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_windows_after_the_log_are_refused(tmp_path) -> None:
    late = GlobalTime(validation_start="2024-01-05", test_start="2030-01-01")
    with pytest.raises(DataError, match="no event is left for test"):
        prepare(_log_of(regular_rows()), KEEP, late, tmp_path)
