"""Maximal marginal relevance against a greedy loop a user, its two ends, its padding and its door."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn.functional import normalize

from divrec.batch import Catalogue, Ranking
from divrec.errors import ConfigError
from divrec.ranking import deliver, rank
from divrec.rerank import MaximalMarginalRelevance, Reranker
from divrec.rerank import strategy as shared
from divrec.rerank.relevance import Relevance
from divrec.similarity import similarity

CONF = Path(__file__).parents[2] / "conf" / "rerank"


def _catalogue(size: int, seed: int = 0) -> Catalogue:
    vectors_ND = normalize(
        torch.randn(size, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1
    )
    zeros = torch.zeros(size, 1, dtype=torch.int64)
    return Catalogue(vectors_ND, zeros, torch.ones(size, 1), 1, zeros[:, 0])


def _ranking(users: int, size: int, top: int, seed: int = 0, lowest: float = 0.0) -> Ranking:
    generator = torch.Generator().manual_seed(seed)
    scores_BN = 30 * torch.randn(users, size, generator=generator, dtype=torch.float64) + 7
    scores_BN = scores_BN.masked_fill(torch.rand(users, size, generator=generator) < lowest, -torch.inf)
    seen_BS = torch.randint(0, size + 1, (users, size), generator=generator)
    seen_BS[0] = size
    return rank(scores_BN, torch.full((users, 1), -1), seen_BS, top, torch.arange(size))


def _slow(
    items: list[int], scores: list[float], vectors_ND: Tensor, k: int, strategy: MaximalMarginalRelevance
) -> list[int]:
    """Carbonell & Goldstein's greedy choice, one user, one candidate at a time."""
    pool = [(i, s) for i, s in zip(items, scores, strict=True) if i >= 0][: strategy.pool]
    finite = [s for _, s in pool if s > -math.inf]
    if strategy.relevance == "zscore":
        mean = sum(finite) / max(1, len(finite))
        spread = math.sqrt(sum((s - mean) ** 2 for s in finite) / max(1, len(finite))) or 1
        relevance = {i: (s - mean) / spread for i, s in pool}
    else:
        total = sum(math.exp(s - max(finite)) for s in finite) if finite else 1
        relevance = {i: math.exp(s - max(finite)) / total if finite else 0 for i, s in pool}
    score, chosen = dict(pool), list[int]()
    while len(chosen) < k and len(chosen) < len(pool):
        best, best_gain = -1, -math.inf
        for item, _ in pool:
            if item in chosen or (score[item] == -math.inf and any(i not in chosen for i, s in pool if s > -math.inf)):
                continue
            near = max(
                (float(similarity(vectors_ND[item, None], vectors_ND[other, None])) for other in chosen), default=0.0
            )
            value = relevance[item] if score[item] > -math.inf else 0.0
            gain = (1 - strategy.diversity) * value - strategy.diversity * near
            if score[item] == -math.inf:
                gain = 0.0  # behind all others, in the order of the ranking
            if gain > best_gain:
                best, best_gain = item, gain
        chosen.append(best)
    return chosen + [-1] * (k - len(chosen))


@given(
    size=st.integers(2, 25),
    k=st.integers(1, 8),
    diversity=st.sampled_from([0.05, 0.3, 0.5, 0.85, 1.0]),
    relevance=st.sampled_from(["zscore", "probability"]),
    lowest=st.sampled_from([0.0, 0.5, 1.0]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=80, deadline=None)
def test_equals_a_greedy_loop(
    size: int, k: int, diversity: float, relevance: Relevance, lowest: float, seed: int
) -> None:
    strategy = MaximalMarginalRelevance(diversity, relevance, pool=12)
    ranking, catalogue = _ranking(3, size, 15, seed, lowest), _catalogue(size, seed)
    slate = strategy(ranking, catalogue, k)
    for user in range(3):
        items, scores = ranking.items_BM[user].tolist(), ranking.scores_BM[user].tolist()
        slow = _slow(items, scores, catalogue.vectors_ND, k, strategy)
        assert slate.items_BK[user].tolist() == slow
        expected = [dict(zip(items, scores, strict=True))[item] if item >= 0 else -math.inf for item in slow]
        assert slate.scores_BK[user].tolist() == expected


@given(st.integers(1, 20), st.integers(1, 6), st.integers(0, 1000))
@settings(deadline=None)
def test_no_diversity_is_the_ranking_as_it_came(size: int, k: int, seed: int) -> None:
    ranking = _ranking(2, size, 10, seed, lowest=0.2)
    slate, straight = MaximalMarginalRelevance(0)(ranking, _catalogue(size), k), deliver(ranking, k)
    assert torch.equal(slate.items_BK, straight.items_BK)
    assert torch.equal(slate.scores_BK, straight.scores_BK)


def test_full_diversity_reads_no_score_but_the_first() -> None:
    catalogue, strategy = _catalogue(20), MaximalMarginalRelevance(1)
    scores_BN = torch.arange(20, 0, -1).double().unsqueeze(0)
    bent_BN = torch.cat([scores_BN[:, :1], scores_BN[:, 1:].square() / 50], dim=1)
    nobody, places_N = torch.full((1, 1), -1), torch.arange(20)
    slates = [strategy(rank(scores, nobody, None, 20, places_N), catalogue, 6) for scores in (scores_BN, bent_BN)]
    assert torch.equal(slates[0].items_BK, slates[1].items_BK)
    assert int(slates[0].items_BK[0, 0]) == 0
    farthest = similarity(catalogue.vectors_ND, catalogue.vectors_ND[:1]).argmin()
    assert int(slates[0].items_BK[0, 1]) == int(farthest)


def test_zscore_does_not_ask_for_the_scale_of_the_scores() -> None:
    ranking, catalogue = _ranking(3, 20, 20), _catalogue(20)
    scaled = Ranking(
        ranking.items_BM,
        ranking.scores_BM / 500 - 3,
        ranking.targets_BT,
        ranking.above_BT,
        ranking.ties_BT,
        ranking.candidates_B,
    )
    strategy = MaximalMarginalRelevance(0.6)
    assert torch.equal(strategy(ranking, catalogue, 5).items_BK, strategy(scaled, catalogue, 5).items_BK)


def test_users_do_not_see_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    ranking, catalogue, strategy = _ranking(7, 20, 15), _catalogue(20), MaximalMarginalRelevance(0.5)
    order = torch.tensor([4, 0, 6, 2, 5, 1, 3])
    moved = Ranking(
        ranking.items_BM[order],
        ranking.scores_BM[order],
        ranking.targets_BT,
        ranking.above_BT,
        ranking.ties_BT,
        ranking.candidates_B,
    )
    whole = strategy(ranking, catalogue, 5).items_BK
    assert torch.equal(strategy(moved, catalogue, 5).items_BK, whole[order])
    monkeypatch.setattr(shared, "_CHUNK", 160)
    assert torch.equal(strategy(ranking, catalogue, 5).items_BK, whole)


def test_equal_scores_keep_the_order_of_the_ranking() -> None:
    zeros = torch.zeros(6, 1, dtype=torch.int64)
    same = Catalogue(torch.ones(6, 1), zeros, torch.ones(6, 1), 1, zeros[:, 0])
    places_N = torch.tensor([3, 0, 5, 1, 4, 2])
    ranking = rank(torch.zeros(1, 6), torch.full((1, 1), -1), None, 6, places_N)
    assert MaximalMarginalRelevance(0.5)(ranking, same, 6).items_BK.tolist() == [[1, 3, 5, 0, 4, 2]]


def test_more_diversity_gives_less_similar_lists() -> None:
    catalogue = _catalogue(60, seed=1)
    scores_BN = torch.randn(40, 60, generator=torch.Generator().manual_seed(2))
    ranking = rank(scores_BN, torch.full((40, 1), -1), None, 60, torch.arange(60))

    def alike(diversity: float) -> float:
        vectors_BKD = catalogue.vectors_ND[MaximalMarginalRelevance(diversity)(ranking, catalogue, 8).items_BK]
        return float(similarity(vectors_BKD, vectors_BKD).mean())

    assert alike(0) > alike(0.6) > alike(0.8) > alike(1)


def test_no_user_gives_no_list() -> None:
    ranking = rank(torch.empty(0, 5), torch.empty(0, 1, dtype=torch.int64), None, 4, torch.arange(5))
    assert MaximalMarginalRelevance(0.5)(ranking, _catalogue(5), 3).items_BK.shape == (0, 3)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"diversity": -0.1}, "diversity"),
        ({"diversity": 1.01}, "diversity"),
        ({"diversity": math.nan}, "diversity"),
        ({"diversity": 0.5, "relevance": "rank"}, "relevance"),
        ({"diversity": 0.5, "pool": 0}, "pool"),
    ],
)
def test_settings_out_of_range_are_refused(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=rf"rerank\.mmr\.{named}"):
        MaximalMarginalRelevance(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("diversity", [0, 0.5])
def test_lists_longer_than_what_there_is_are_refused(diversity: float) -> None:
    with pytest.raises(ConfigError, match="pool of 4 is smaller"):
        MaximalMarginalRelevance(diversity, pool=4)(_ranking(1, 9, 9), _catalogue(9), 5)
    with pytest.raises(ConfigError, match="keeps 3"):
        MaximalMarginalRelevance(diversity)(_ranking(1, 9, 3), _catalogue(9), 5)


def test_the_config_builds_one_for_each_strength() -> None:
    config = OmegaConf.load(CONF / "mmr.yaml")
    factory = instantiate(config.mmr)
    built: list[Reranker] = [factory(diversity=strength) for strength in config.mmr.diversity]
    assert [strategy.diversity for strategy in built] == [0.3, 0.5, 0.7, 0.85]
    assert {strategy.name for strategy in built} == {"mmr"} == set(config)
    assert OmegaConf.load(CONF / "none.yaml") == {}
