"""Batches: nobody sees the moment they are asked about, steps are pure functions, evaluation covers everybody."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from data.small_logs import DAY, START
from divrec.batch import Batch
from divrec.data import Collation, EvaluationSteps, PreparedData, TrainingSteps, read_histories
from divrec.errors import ConfigError, DataError

LENGTH, ITEMS, WEIGHTS = 4, 12, (0.2, 1.0)
# Each user's moments, one a day: item -> kind.
USERS: st.SearchStrategy = st.lists(
    st.lists(
        st.dictionaries(st.integers(0, ITEMS - 1), st.integers(0, 1), min_size=1, max_size=4), min_size=1, max_size=6
    ),
    min_size=1,
    max_size=5,
)


def _dataset(users: list[list[dict[int, int]]]) -> Dataset:
    rows = []
    for number, moments in enumerate(users):
        events = [
            (item, START + day * DAY, kind) for day, moment in enumerate(moments) for item, kind in moment.items()
        ]
        items, times, kinds = (list(column) for column in zip(*events, strict=True))
        rows.append({"user_id": f"u{number}", "user": number, "items": items, "times": times, "events": kinds})
    return Dataset.from_list(rows)


def _collation(**changes) -> Collation:
    return Collation(
        **{"item_count": ITEMS, "event_weights": WEIGHTS, "target_kinds": (False, True), "history_length": LENGTH}
        | changes
    )


def _same(one: Batch, other: Batch) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Batch)]
    return all(left is right is None or torch.equal(left, right) for left, right in pairs)


@settings(max_examples=60, deadline=None)
@given(users=USERS, positions=st.integers(6, 30), step=st.integers(0, 50))
def test_queries_see_what_is_strictly_earlier_and_ask_for_a_whole_moment(users, positions: int, step: int) -> None:
    """Each query of a batch against the log: which moment is it, what came before, what came then."""
    askable = [[g for g in range(1, len(moments)) if 1 in moments[g].values()] for moments in users]
    histories = read_histories(_dataset(users))
    if not any(askable):
        with pytest.raises(DataError, match="no user has a target"):
            TrainingSteps(histories, _collation(), 6)
        return
    batch = TrainingSteps(histories, _collation(), 6, positions)[step]
    queries = len(batch.query_rows_Q)
    assert 6 <= queries <= positions
    assert batch.query_rows_Q[:6].tolist() == list(range(6))
    for query in range(queries):
        row = int(batch.query_rows_Q[query])
        moments = users[int(batch.users_B[row])]
        shown = batch.groups_BL[row] >= 0
        before = shown & (batch.groups_BL[row] <= batch.query_groups_Q[query])
        targets = batch.target_items_P[batch.target_queries_P == query].tolist()
        fitting = [
            g
            for g in askable[int(batch.users_B[row])]
            if sorted(targets) == sorted(item for item, kind in moments[g].items() if kind == 1)
            and set(batch.seen_QS[query].tolist()) - {ITEMS} == {item for m in moments[:g] for item in m}
            and [item for m in moments[:g] for item in m][-int(before.sum()) :] == batch.items_BL[row][before].tolist()
        ]
        assert fitting, "no moment of the user explains this query"
        assert before.any()
        assert set(batch.items_BL[row][before].tolist()) <= set(batch.seen_QS[query].tolist())
    places = list(zip(batch.query_rows_Q.tolist(), batch.query_groups_Q.tolist(), strict=True))
    assert len(set(places)) == queries
    assert all(group == batch.groups_BL[row].max() for row, group in places[:6])
    assert (batch.target_values_P == 1).all()


def test_window_by_hand() -> None:
    users = [[{1: 1}, {2: 0, 3: 1}, {4: 0}, {5: 1, 1: 1}]]
    batch = TrainingSteps(read_histories(_dataset(users)), _collation(), 1)
    lasts = [batch[step] for step in range(20)]
    last = next(b for b in lasts if sorted(b.target_items_P.tolist()) == [1, 5])
    assert last.items_BL.tolist() == [[1, 2, 3, 4]]
    assert last.groups_BL.tolist() == [[0, 1, 1, 2]]
    assert last.events_BL.tolist() == [[1, 0, 1, 0]]
    assert last.query_groups_Q.tolist() == [2]
    assert last.seen_QS.tolist() == [[1, 2, 3, 4]]
    torch.testing.assert_close(last.history_QS, torch.tensor([[1.0, 0.2, 1.0, 0.2]]))
    first = next(b for b in lasts if b.target_items_P.tolist() == [3])
    assert first.items_BL.tolist() == [[0, 0, 0, 1]]
    assert first.groups_BL.tolist() == [[-1, -1, -1, 0]]
    assert len({tuple(b.target_items_P.tolist()) for b in lasts}) == 2  # the moment of views alone asks nothing


def test_window_can_cut_a_moment_and_seen_items_reach_beyond_it() -> None:
    users = [[{0: 1}, {1: 1, 2: 1, 3: 1}, {4: 1, 5: 1}, {6: 1}]]
    steps = TrainingSteps(read_histories(_dataset(users)), _collation(), 1, positions=3)
    batch = next(b for b in (steps[step] for step in range(20)) if b.target_items_P[0] == 6)
    assert batch.items_BL.tolist() == [[2, 3, 4, 5]]
    assert batch.groups_BL.tolist() == [[0, 0, 1, 1]]
    assert batch.query_groups_Q.tolist() == [1, 0]  # the cut moment is seen, never asked
    assert sorted(batch.seen_QS[0].tolist()) == [0, 1, 2, 3, 4, 5]
    assert batch.seen_QS[1].tolist() == [0, 1, 2, 3, ITEMS, ITEMS]
    assert batch.history_QS[1].tolist() == [1, 1, 1, 1, 0, 0]


def test_history_weights_are_the_greatest_of_weight_times_decay() -> None:
    users = [[{1: 1}, {1: 0}, {2: 0}, {3: 1}]]
    collation = _collation(half_life_days=1.0, event_weights=(0.5, 1.0))
    steps = TrainingSteps(read_histories(_dataset(users)), collation, 1)
    batch = steps[0]
    # Item 1: max(1 x 2^-2, .5 x 2^-1) = .25; item 2: .5 x 2^0; over the maximum .5.
    assert batch.seen_QS.tolist() == [[1, 2]]
    torch.testing.assert_close(batch.history_QS, torch.tensor([[0.5, 1.0]]))
    steady = TrainingSteps(read_histories(_dataset(users)), _collation(event_weights=(0.5, 1.0)), 1)[0]
    torch.testing.assert_close(steady.history_QS, torch.tensor([[1.0, 0.5]]))


@pytest.fixture(scope="module")
def shop_steps(shop: PreparedData):
    histories = read_histories(shop.splits["train"])

    def steps(**changes) -> TrainingSteps:
        return TrainingSteps(histories, _shop_collation(shop), **({"batch_size": 32, "positions": 64} | changes))

    return steps


def _shop_collation(shop: PreparedData) -> Collation:
    return Collation(shop.manifest["items"], (0.2, 0.5, 1.0), (False, True, True), history_length=10)


@pytest.mark.parametrize("workers", [1, 2])
def test_steps_are_the_same_for_any_number_of_workers(shop_steps, workers: int) -> None:
    alone = [shop_steps()[step] for step in range(5)]
    loaded = list(DataLoader(shop_steps(), batch_size=None, sampler=range(5), num_workers=workers))
    assert all(_same(one, other) for one, other in zip(alone, loaded, strict=True))
    backwards = shop_steps()
    assert all(_same(backwards[step], alone[step]) for step in reversed(range(5)))
    assert not _same(alone[0], shop_steps(seed=1)[0])


def test_extra_queries_do_not_move_the_lead_queries(shop_steps) -> None:
    lean, rich = shop_steps(positions=None)[3], shop_steps(positions=96)[3]
    assert len(lean.query_rows_Q) == 32 < len(rich.query_rows_Q)
    assert torch.equal(lean.users_B, rich.users_B)
    assert torch.equal(lean.items_BL, rich.items_BL)
    assert torch.equal(lean.query_groups_Q, rich.query_groups_Q[:32])
    lead = rich.target_queries_P < 32
    assert torch.equal(lean.target_items_P, rich.target_items_P[lead])


def test_ranks_share_the_batch_of_one_process(shop_steps) -> None:
    whole = shop_steps()[4]
    shares = [shop_steps(rank=rank, world=4)[4] for rank in range(4)]
    assert torch.equal(torch.cat([share.users_B for share in shares]), whole.users_B)
    assert torch.equal(torch.cat([share.items_BL for share in shares]), whole.items_BL)
    assert sum(len(share.query_rows_Q) for share in shares) == len(whole.query_rows_Q) == 64
    targets = [target for share in shares for target in share.target_items_P.tolist()]
    assert sorted(targets) == sorted(whole.target_items_P.tolist())


def test_users_come_once_a_pass_and_moments_are_uniform(shop_steps) -> None:
    steps = shop_steps(positions=None)
    users = torch.cat([steps[step].users_B for step in range(20)])[: 2 * steps.users].tolist()
    assert len(set(users[: steps.users])) == len(set(users[steps.users :])) == steps.users
    assert users[: steps.users] != users[steps.users :]
    one = [[{number: 1} for number in range(5)]]
    leads = TrainingSteps(read_histories(_dataset(one)), _collation(), 400)[0].target_items_P
    counts = np.bincount(leads.numpy(), minlength=5)
    assert counts[0] == 0
    assert (counts[1:] > 65).all()  # 100 expected, deviation 8.7


def test_full_windows_end_at_the_last_moment_and_ask_about_all_alike() -> None:
    one = [[{number: 1} for number in range(5)]]
    steps = TrainingSteps(read_histories(_dataset(one)), _collation(), 2, positions=4, windows="full")
    asked = np.zeros(5, dtype=int)
    for step in range(300):
        batch = steps[step]
        assert batch.items_BL[:, -4:].tolist() == [[0, 1, 2, 3]] * 2
        assert len(set(zip(batch.query_rows_Q.tolist(), batch.target_items_P.tolist(), strict=True))) == 4
        asked += np.bincount(batch.target_items_P.numpy(), minlength=5)
    assert asked[0] == 0
    assert (np.abs(asked[1:] - 300) < 60).all()  # 300 expected of each


def test_full_windows_of_long_histories_end_anywhere_and_are_full() -> None:
    long = [[{number: 1} for number in range(12)]]
    steps = TrainingSteps(read_histories(_dataset(long)), _collation(), 1, positions=2, windows="full")
    ends = [tuple(steps[step].items_BL[0].tolist()) for step in range(80)]
    assert set(ends) == {tuple(range(start, start + 4)) for start in range(8)}


def test_last_windows_of_long_histories_are_their_ends() -> None:
    long = [[{number: 1} for number in range(12)], [{number: 1} for number in range(3)]]
    steps = TrainingSteps(read_histories(_dataset(long)), _collation(), 2, positions=6, windows="last")
    for step in range(10):
        batch = steps[step]
        asked = {0: set(), 1: set()}
        for query, target in zip(batch.target_queries_P.tolist(), batch.target_items_P.tolist(), strict=True):
            row = int(batch.query_rows_Q[query])
            asked[int(batch.users_B[row])].add(target)
            window = [7, 8, 9, 10] if batch.users_B[row] == 0 else [0, 1]
            assert batch.items_BL[row, -len(window) :].tolist() == window
        assert asked == {0: {8, 9, 10, 11}, 1: {1, 2}}


def test_last_windows_end_at_the_last_moment_with_a_target() -> None:
    browsing = [[{0: 1}, {1: 1}, {2: 1}, {3: 0}, {4: 0}]]  # the last two moments have no target
    steps = TrainingSteps(read_histories(_dataset(browsing)), _collation(), 1, positions=4, windows="last", bucket=2)
    for step in range(4):
        assert steps[step].items_BL[0, -2:].tolist() == [0, 1]
        assert sorted(steps[step].target_items_P.tolist()) == [1, 2]


def test_with_a_half_life_last_windows_ask_about_moments_of_one_age_alike() -> None:
    users = [[{number % ITEMS: 1} for number in range(40)], [{number: 1} for number in range(5)]]
    days = [list(range(40)), list(range(35, 40))]
    rows = [
        {
            "user_id": f"u{number}",
            "user": number,
            "items": [item for moment in moments for item in moment],
            "times": [START + day * DAY for day in days[number]],
            "events": [1] * len(moments),
        }
        for number, moments in enumerate(users)
    ]
    histories = read_histories(Dataset.from_list(rows))
    steps = TrainingSteps(histories, _collation(), 2_000, half_life_days=10, windows="last")
    leads = steps[0]
    asked = np.bincount(leads.users_B.numpy()[leads.query_rows_Q.numpy()], minlength=2)
    assert asked[0] == pytest.approx(asked[1], rel=0.02), "four moments of each, of the same four days"


def test_recent_moments_are_asked_about_more_often_with_a_half_life() -> None:
    one = [[{number: 1} for number in range(5)]]  # a moment every ten seconds, see _dataset
    histories = read_histories(_dataset(one))
    step_days = float(np.diff(histories.times_E)[0]) / 86_400
    leads = TrainingSteps(histories, _collation(), 4_000, half_life_days=step_days)[0].target_items_P
    shares = np.bincount(leads.numpy(), minlength=5) / 4_000
    np.testing.assert_allclose(shares, np.array([0, 1, 2, 4, 8]) / 15, atol=0.03)


def test_evaluation_covers_every_user_once(shop: PreparedData) -> None:
    split = shop.splits["test"]
    steps = EvaluationSteps(split, _shop_collation(shop), 16)
    batches = [steps[number] for number in range(len(steps))]
    assert [user for batch in batches for user in batch.user_ids] == split["user_id"][:]
    rows = iter(split)
    for batch in batches:
        for place in range(len(batch.user_ids)):
            row = next(rows)
            targets = batch.targets_BT[place]
            assert targets[targets >= 0].tolist() == row["targets"]
            seen = batch.batch.seen_QS[place]
            assert sorted(seen[seen < len(shop.catalogue)].tolist()) == sorted(set(row["items"]))
            shown = batch.batch.groups_BL[place] >= 0
            assert batch.batch.items_BL[place][shown].tolist() == row["items"][-10:]
            assert batch.batch.query_groups_Q[place] == batch.batch.groups_BL[place].max()
        assert torch.equal(batch.batch.target_items_P, batch.targets_BT[batch.targets_BT >= 0])
    shares = [EvaluationSteps(split, _shop_collation(shop), 16, rank, 2) for rank in range(2)]
    shared = [user for share in shares for number in range(len(share)) for user in share[number].user_ids]
    assert sorted(shared) == sorted(split["user_id"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "data.batch_size"),
        ({"batch_size": 10, "positions": None, "world": 4}, "multiple of the 4 processes"),
        ({"batch_size": 10, "positions": 9}, "data.positions"),
        ({"windows": "half"}, "data.windows"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(shop_steps, arguments: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        shop_steps(**arguments)


@pytest.mark.parametrize("changes", [{"history_length": 0}, {"half_life_days": 0.0}])
def test_collation_without_sense_is_refused(changes: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(changes))):
        _collation(**changes)


def test_steps_before_the_first_are_refused(shop_steps) -> None:
    with pytest.raises(IndexError, match="counted from 0"):
        shop_steps()[-1]
