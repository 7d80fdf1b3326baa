"""The ranking against a slow definition, its ties, its masks, and the delivered list."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from divrec import measures, ranking
from divrec.batch import Ranking, Slate
from divrec.errors import ConfigError, DataError
from divrec.ranking import deliver, delivered_ranks, rank, tie_order


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor | None, int, Tensor]:
    """Scores with many ties and some -inf, targets, seen items, M and an order of ties."""
    users, size = draw(st.integers(1, 3)), draw(st.integers(1, 90))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    scores_BN = torch.randint(0, levels, (users, size), generator=generator).float()
    lowest = torch.rand(users, size, generator=generator) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    scores_BN = scores_BN.masked_fill(lowest, -torch.inf)
    width = draw(st.integers(1, min(6, size)))
    targets_BT = torch.stack([torch.randperm(size, generator=generator)[:width] for _ in range(users)])
    targets_BT = targets_BT.masked_fill(torch.rand(users, width, generator=generator) < 0.3, -1)
    seen_BS = torch.randint(0, size + 1, (users, draw(st.integers(0, size))), generator=generator)
    top = draw(st.integers(1, size + 5))
    return scores_BN, targets_BT, draw(st.sampled_from([None, seen_BS])), top, tie_order(size, draw(st.integers(0, 9)))


@given(cases())
@settings(max_examples=150, deadline=None)
def test_equals_the_slow_definition(case: tuple[Tensor, Tensor, Tensor | None, int, Tensor]) -> None:
    scores_BN, targets_BT, seen_BS, top, places_N = case
    ranked = rank(scores_BN, targets_BT, seen_BS, top, places_N)
    for user, scores in enumerate(scores_BN.tolist()):
        seen = set() if seen_BS is None else set(seen_BS[user].tolist())
        rankable = [item for item in range(len(scores)) if item not in seen]
        order = sorted(rankable, key=lambda item: (-scores[item], int(places_N[item])))[:top]
        padding = top - len(order)
        assert ranked.items_BM[user].tolist() == order + [-1] * padding
        assert ranked.scores_BM[user].tolist() == [scores[item] for item in order] + [-math.inf] * padding
        assert int(ranked.candidates_B[user]) == len(rankable)
        for place, target in enumerate(targets_BT[user].tolist()):
            relevant = target in rankable
            above = sum(scores[item] > scores[target] for item in rankable) if relevant else 0
            ties = sum(scores[item] == scores[target] for item in rankable) if relevant else 0
            found = (ranked.targets_BT[user, place], ranked.above_BT[user, place], ranked.ties_BT[user, place])
            assert tuple(map(int, found)) == (target if relevant else -1, above, ties)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_ties_beyond_the_spare_candidates_are_broken_exactly(levels: int) -> None:
    size, top = 500, 7
    scores_BN = torch.randint(0, levels, (4, size), generator=torch.Generator().manual_seed(levels)).float()
    places_N = tie_order(size, 3)
    ranked = rank(scores_BN, torch.full((4, 1), -1), None, top, places_N)
    for user in range(4):
        slow = sorted(range(size), key=lambda item: (-float(scores_BN[user, item]), int(places_N[item])))
        assert ranked.items_BM[user].tolist() == slow[:top]


def test_the_order_does_not_depend_on_where_items_lie() -> None:
    generator = torch.Generator().manual_seed(0)
    size = 300
    scores_BN = torch.randint(0, 4, (5, size), generator=generator).float()
    places_N, moved = tie_order(size, 1), torch.randperm(size, generator=generator)
    none_BT = torch.full((5, 1), -1)
    straight = rank(scores_BN, none_BT, None, 40, places_N).items_BM
    shuffled = rank(scores_BN[:, moved], none_BT, None, 40, places_N[moved]).items_BM
    assert torch.equal(moved[shuffled], straight)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    scores_BN = torch.randn(11, 60, generator=generator)
    targets_BT = torch.randint(-1, 60, (11, 3), generator=generator)
    seen_BS = torch.randint(0, 61, (11, 8), generator=generator)
    whole = rank(scores_BN, targets_BT, seen_BS, 10, tie_order(60, 0))
    monkeypatch.setattr(ranking, "CHUNK", 130)
    chunked = rank(scores_BN, targets_BT, seen_BS, 10, tie_order(60, 0))
    for name in ("items_BM", "scores_BM", "targets_BT", "above_BT", "ties_BT", "candidates_B"):
        assert torch.equal(getattr(whole, name), getattr(chunked, name)), name


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64])
def test_any_type_of_score(dtype: torch.dtype) -> None:
    scores_BN = torch.tensor([[3, 1, 2, 2]]).to(dtype)
    ranked = rank(scores_BN, torch.tensor([[1, 2]]), None, 3, torch.tensor([0, 1, 3, 2]))
    assert ranked.items_BM.tolist() == [[0, 3, 2]]
    assert ranked.above_BT.tolist() == [[3, 1]]
    assert ranked.ties_BT.tolist() == [[1, 2]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_ties_of_narrow_scores_are_broken_too(dtype: torch.dtype) -> None:
    ranked = rank(torch.tensor([[1, 2, 2, 2]]).to(dtype), torch.tensor([[0]]), None, 2, torch.tensor([0, 3, 1, 2]))
    assert ranked.items_BM.tolist() == [[2, 3]]


@given(cases())
@settings(max_examples=80, deadline=None)
def test_both_ways_to_the_top_agree(case: tuple[Tensor, Tensor, Tensor | None, int, Tensor]) -> None:
    """The way that accelerators take is as exact as the one of the CPU."""
    scores_BN, _, seen_BS, top, places_N = case
    masked_BN = ranking._seen_mask(seen_BS, scores_BN)
    open_BN = scores_BN.masked_fill(masked_BN, -torch.inf)
    candidates = ranking.Candidates(open_BN, masked_BN, places_N)
    top = min(top, scores_BN.shape[1])
    chosen = ranking._top_by_selection(candidates, top)
    assert torch.equal(chosen, ranking._top_items(candidates, ranking.ascending(open_BN), top))


def test_a_seen_target_is_not_relevant() -> None:
    ranked = rank(torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([[0, 2]]), torch.tensor([[0, 3]]), 2, torch.arange(3))
    assert ranked.targets_BT.tolist() == [[-1, 2]]
    assert ranked.ties_BT.tolist() == [[0, 1]]
    assert float(measures.recall(ranked.above_BT, ranked.ties_BT, 2)) == 1


def test_without_exclusion_a_seen_item_is_ranked() -> None:
    ranked = rank(torch.tensor([[3.0, 2.0]]), torch.tensor([[0]]), None, 1, torch.arange(2))
    assert ranked.items_BM.tolist() == [[0]]
    assert ranked.ties_BT.tolist() == [[1]]


def test_a_constant_scorer_gets_what_chance_gets() -> None:
    targets_BT = torch.tensor([[4, 17, -1]])
    ranked = rank(torch.zeros(1, 40), targets_BT, None, 10, tie_order(40, 0))
    assert float(measures.recall(ranked.above_BT, ranked.ties_BT, 10)) == pytest.approx(10 / 40)
    assert float(measures.auc(ranked.above_BT, ranked.ties_BT, ranked.candidates_B)) == pytest.approx(0.5)


def test_no_user_gives_an_empty_ranking() -> None:
    ranked = rank(torch.empty(0, 5), torch.empty(0, 2, dtype=torch.int64), None, 3, torch.arange(5))
    assert ranked.items_BM.shape == (0, 3)
    assert ranked.above_BT.shape == (0, 2)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 2])
def test_scores_that_are_not_finite_are_refused(bad: float, place: int) -> None:
    scores_BN = torch.zeros(2, 3)
    scores_BN[1, place] = bad
    with pytest.raises(DataError, match="not finite"):
        rank(scores_BN, torch.full((2, 1), -1), None, 1, torch.arange(3))


def test_scores_stay_as_they_were() -> None:
    scores_BN = torch.tensor([[1.0, 2.0]], requires_grad=True)
    ranked = rank(scores_BN, torch.tensor([[0]]), torch.tensor([[1]]), 2, torch.arange(2))
    assert scores_BN.tolist() == [[1.0, 2.0]]
    assert not ranked.scores_BM.requires_grad


def test_a_ranking_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="top"):
        rank(torch.zeros(1, 3), torch.full((1, 1), -1), None, 0, torch.arange(3))


@given(st.integers(0, 200), st.integers(0, 2**31))
@settings(deadline=None)
def test_tie_order_is_a_seeded_permutation(size: int, seed: int) -> None:
    places = tie_order(size, seed)
    assert sorted(places.tolist()) == list(range(size))
    assert torch.equal(places, tie_order(size, seed))


def test_another_seed_gives_another_tie_order() -> None:
    assert not torch.equal(tie_order(50, 0), tie_order(50, 1))


def _ranking() -> Ranking:
    scores_BN = torch.tensor([[9.0, 8.0, 7.0, 7.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    return rank(scores_BN, torch.tensor([[3, 4, -1], [4, 3, 0]]), None, 4, torch.arange(5))


def test_deliver_takes_the_head() -> None:
    slate = deliver(_ranking(), 3)
    assert slate.items_BK.tolist() == [[0, 1, 2], [4, 3, 2]]
    assert slate.scores_BK.tolist() == [[9, 8, 7], [5, 4, 3]]


@pytest.mark.parametrize("k", [0, -1, 5])
def test_deliver_refuses_lists_it_cannot_fill(k: int) -> None:
    with pytest.raises(ConfigError, match="at least"):
        deliver(_ranking(), k)


def test_a_list_as_ranked_keeps_ties_in_expectation() -> None:
    ranked = _ranking()
    delivered = delivered_ranks(deliver(ranked, 3), ranked)
    assert torch.equal(delivered.above_BT, ranked.above_BT)
    assert torch.equal(delivered.ties_BT, ranked.ties_BT)


def test_a_reranked_list_gives_places_in_the_list() -> None:
    ranked = _ranking()
    slate = Slate(torch.tensor([[0, 3, 1], [4, 3, 2]]), torch.zeros(2, 3))
    delivered = delivered_ranks(slate, ranked)
    # the first list changed: item 3 stands second, item 4 behind the list; the second list is the ranking's
    assert delivered.above_BT.tolist() == [[1, 3, 0], ranked.above_BT[1].tolist()]
    assert delivered.ties_BT.tolist() == [[1, 1, 0], [1, 1, 1]]
    assert measures.recall(delivered.above_BT, delivered.ties_BT, 3).tolist() == pytest.approx([1 / 2, 2 / 3])
    assert measures.mrr(delivered.above_BT, delivered.ties_BT, 3).tolist() == [0.5, 1.0]


@pytest.mark.parametrize("targets", [[3], [3, 4], [2, 3, 4]])
def test_targets_behind_a_reranked_list_are_no_hits_however_many(targets: list[int]) -> None:
    ranked = rank(torch.tensor([[9.0, 8.0, 7.0, 6.0, 5.0]]), torch.tensor([targets]), None, 5, torch.arange(5))
    delivered = delivered_ranks(Slate(torch.tensor([[1, 0]]), torch.zeros(1, 2)), ranked)
    for measure in (measures.hit_rate, measures.recall, measures.ndcg, measures.mrr, measures.average_precision):
        for k in (1, 2):
            assert float(measure(delivered.above_BT, delivered.ties_BT, k)) == 0, measure.__name__


def test_padding_of_a_list_is_never_a_hit() -> None:
    ranked = rank(torch.tensor([[2.0, 1.0]]), torch.tensor([[1, -1]]), torch.tensor([[0]]), 2, torch.arange(2))
    slate = Slate(torch.tensor([[-1, 1]]), torch.zeros(1, 2))
    delivered = delivered_ranks(slate, ranked)
    assert delivered.above_BT.tolist() == [[1, 0]]
    assert delivered.ties_BT.tolist() == [[1, 0]]
