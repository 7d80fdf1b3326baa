"""Event kinds: weights and roles (input, target, both, removes)."""

import numpy as np
import pytest

from data.small_logs import DAY, START, Event
from divrec.data import Collation, EvaluationSteps, GlobalTime, LeaveOneOut, Preparation, TrainingSteps, read_histories

SPLIT = GlobalTime(2, 2)


def _ids(prepared, split: str, column: str, user: str = "u") -> list[str]:
    ids = prepared.catalogue["item_id"]
    row = next(row for row in prepared.splits[split] if row["user_id"] == user)
    return [ids[item] for item in row[column]]


def _daily(kind: str = "purchase", days: int = 12) -> list[Event]:
    return [("u", f"{kind}{day}", START + day * DAY, kind) for day in range(days)]


def test_a_return_takes_the_purchase_out_where_it_is_known(build) -> None:
    rows = [
        *_daily(),
        ("u", "purchase1", START + 2 * DAY, "return"),  # within training
        ("u", "purchase2", START + 9 * DAY, "return"),  # in the validation window
        ("u", "purchase3", START + 11 * DAY, "return"),  # in the test window
        ("u", "purchase11", START + 11 * DAY, "return"),  # at once
    ]
    settings = Preparation(core=1, repeats="keep", roles={"return": "removes"})
    prepared = build(rows, settings, SPLIT)
    train, test = _ids(prepared, "train", "items"), _ids(prepared, "test", "items")
    assert "purchase1" not in train
    assert {"purchase2", "purchase3"} <= set(train)
    assert {"purchase2", "purchase3"} <= set(_ids(prepared, "validation", "items"))
    assert "purchase2" not in test
    assert "purchase3" in test
    assert _ids(prepared, "test", "targets") == ["purchase10"]
    assert prepared.manifest["event_kinds"] == ["purchase"]
    assert prepared.manifest["left_out"]["events that remove others"] == 4
    assert prepared.manifest["left_out"]["events removed before they counted"] == 2


def test_a_later_purchase_counts_anew(build) -> None:
    rows = [
        *_daily(),
        ("u", "x", START, "purchase"),
        ("u", "x", START + DAY, "return"),
        ("u", "x", START + 2 * DAY, "purchase"),
    ]
    prepared = build(rows, Preparation(core=1, roles={"return": "removes"}), SPLIT)
    assert _ids(prepared, "train", "items").count("x") == 1


def test_without_windows_a_removal_removes_outright(build) -> None:
    rows = [*_daily(), ("u", "purchase3", START + 11 * DAY, "return")]
    prepared = build(rows, Preparation(core=1, roles={"return": "removes"}), LeaveOneOut())
    assert "purchase3" not in _ids(prepared, "test", "items")


def test_views_are_history_and_never_asked_for(build) -> None:
    rows = [*_daily("view"), *_daily("purchase")]
    settings = Preparation(core=1, event_weights={"view": 0.2, "purchase": 1.0}, roles={"view": "input"})
    prepared = build(rows, settings, SPLIT)
    assert all(name.startswith("purchase") for name in _ids(prepared, "test", "targets"))
    assert any(name.startswith("view") for name in _ids(prepared, "test", "items"))


def test_a_target_that_nobody_reads(build) -> None:
    """Predict purchases from views alone: purchases are asked for, seen, and read by no model."""
    rows = [*_daily("view"), *[(u, i, t + 60, k) for u, i, t, k in _daily("purchase")]]
    settings = Preparation(
        core=1, event_weights={"view": 0.2, "purchase": 1.0}, roles={"view": "input", "purchase": "target"}
    )
    prepared = build(rows, settings, SPLIT)
    manifest = prepared.manifest
    assert manifest["input_kinds"] == ["view"]
    names = np.array(prepared.catalogue["item_id"][:])
    collation = Collation(manifest["items"], (0.2, 1.0), (False, True), (True, False), history_length=5)
    steps = TrainingSteps(read_histories(prepared.splits["train"]), collation, 1, positions=3)
    for batch in (steps[number] for number in range(12)):
        visible = batch.groups_BL[0] >= 0
        assert visible.any()
        assert all(name.startswith("view") for name in names[batch.items_BL[0][visible].numpy()])
        assert all(name.startswith("purchase") for name in names[batch.target_items_P.numpy()])
        for query, group in enumerate(batch.query_groups_Q.tolist()):
            assert group in batch.groups_BL[batch.query_rows_Q[query]].tolist()
        weights = dict(zip(batch.seen_QS[0].tolist(), batch.history_QS[0].tolist(), strict=True))
        for item, weight in weights.items():
            assert item == manifest["items"] or (weight > 0) == names[item].startswith("view")
    test = EvaluationSteps(prepared.splits["test"], collation, 4)[0]
    assert test.targets_BT.shape == (1, 2)
    assert (test.batch.query_groups_Q >= 0).all()


def test_a_user_with_nothing_to_read_is_not_asked(build) -> None:
    rows = [*_daily("view"), *_daily("purchase")]
    rows += [("silent", f"purchase{day}", START + day * DAY, "purchase") for day in range(12)]
    settings = Preparation(
        core=1, event_weights={"view": 0.2, "purchase": 1.0}, roles={"view": "input", "purchase": "target"}
    )
    prepared = build(rows, settings, SPLIT)
    assert prepared.splits["test"]["user_id"][:] == ["u"]
    collation = Collation(prepared.manifest["items"], (0.2, 1.0), (False, True), (True, False), history_length=5)
    assert TrainingSteps(read_histories(prepared.splits["train"]), collation, 1).users == 1


@pytest.mark.parametrize("roles", [{"view": "both"}, {}])
def test_both_is_the_role_of_kinds_that_have_none(roles: dict) -> None:
    settings = Preparation(event_weights={"view": 0.2, "purchase": 1.0}, roles=roles)
    assert settings.targets == settings.inputs == settings.kinds == ["view", "purchase"]
    assert settings.plain() == Preparation(event_weights={"view": 0.2, "purchase": 1.0}).plain()
