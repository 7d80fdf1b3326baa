"""Item neighbors against a slow definition."""

from __future__ import annotations

import math
from collections.abc import Callable

import datasets
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from divrec.baselines import ItemKNN, item_knn, neighbors
from divrec.batch import Batch, Catalogue
from divrec.errors import ConfigError

BatchOf = Callable[..., Batch]


def _slow_neighbors(histories: list[list[int]], size: int, neighbors: int, shrink: float) -> list[dict[int, float]]:
    users = [{user for user, items in enumerate(histories) if item in items} for item in range(size)]
    kept = []
    for item in range(size):
        similar = {
            other: len(users[item] & users[other]) / (math.sqrt(len(users[item]) * len(users[other])) + shrink)
            for other in range(size)
            if other != item and users[item] & users[other]
        }
        best = sorted(similar, key=lambda other: (-similar[other], other))[:neighbors]
        kept.append({other: similar[other] for other in best})
    return kept


def _fitted(histories: list[list[int]], size: int, neighbors: int, shrink: float) -> ItemKNN:
    zeros = torch.zeros(size, 1, dtype=torch.int64)
    baseline = ItemKNN(neighbors, shrink)
    train = datasets.Dataset.from_dict({"user": list(range(len(histories))), "items": histories})
    baseline.fit(train, Catalogue(torch.eye(size), zeros, torch.ones(size, 1), 1, zeros[:, 0]))
    return baseline


@given(
    st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=6), min_size=1, max_size=8),
    st.integers(1, 9),
    st.sampled_from([0.0, 0.37, 2.3]),
)
@settings(max_examples=60, deadline=None)
def test_neighbors_equal_the_slow_definition(histories: list[list[int]], neighbors: int, shrink: float) -> None:
    baseline = _fitted(histories, 8, neighbors, shrink)
    slow = _slow_neighbors(histories, 8, neighbors, shrink)
    for item in range(8):
        pairs = zip(baseline.neighbors_NK[item].tolist(), baseline.similarities_NK[item].tolist(), strict=True)
        found = {other: value for other, value in pairs if value > 0}
        assert sorted(found.values()) == pytest.approx(sorted(slow[item].values()), rel=1e-6)
        for other, value in found.items():
            whole = _slow_neighbors(histories, 8, 8, shrink)[item]
            assert value == pytest.approx(whole[other], rel=1e-6)


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=2, max_size=6), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_scores_are_weighted_votes_of_the_history(histories: list[list[int]], seed: int) -> None:
    # built here, for a function-scoped fixture is refused by hypothesis
    generator = torch.Generator().manual_seed(seed)
    baseline = _fitted(histories, 6, 3, 0.5)
    seen_QS = torch.stack([torch.randperm(7, generator=generator)[:4] for _ in range(3)])
    history_QS = torch.rand(3, 4, generator=generator) * (seen_QS < 6)
    rows = torch.zeros(3, 1, dtype=torch.int64)
    nothing = rows[:0, 0]
    batch = Batch(
        rows[:, 0], rows, rows, rows, torch.arange(3), rows[:, 0], seen_QS, history_QS, nothing, nothing, nothing
    )
    scores_QN = baseline(batch).scores_QN
    matrix = torch.zeros(7, 6).index_put_(
        (torch.arange(6).unsqueeze(-1), baseline.neighbors_NK), baseline.similarities_NK, accumulate=True
    )
    weights = torch.zeros(3, 7).scatter(1, seen_QS, history_QS)
    torch.testing.assert_close(scores_QN, weights @ matrix)


def test_by_hand(train: datasets.Dataset, catalogue: Catalogue, batch_of: BatchOf) -> None:
    baseline = ItemKNN(neighbors=2, shrink=0)
    baseline.fit(train, catalogue)
    # users: item 0 {0, 2}, item 1 {0, 1, 4}, item 2 {0, 1, 2, 4}, item 3 {2, 4}; item 4 alone, item 5 never
    assert baseline.neighbors_NK[1].tolist() == [2, 0]
    assert baseline.similarities_NK[1].tolist() == pytest.approx([3 / math.sqrt(12), 1 / math.sqrt(6)])
    scores = baseline(batch_of([0, 1], [{1: 0.5}, {4: 1.0, 5: 1.0}])).scores_QN
    assert scores[0].tolist() == pytest.approx([0.5 / math.sqrt(6), 0, 1.5 / math.sqrt(12), 0, 0, 0])
    assert scores[1].tolist() == [0] * 6


def test_chunks_change_nothing(
    train: datasets.Dataset, catalogue: Catalogue, batch_of: BatchOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of([0, 1, 2], [{1: 0.5, 2: 1.0}, {0: 1.0}, {3: 0.2, 2: 0.1}])
    whole = ItemKNN(3)
    whole.fit(train, catalogue)
    scores_QN = whole(batch).scores_QN
    monkeypatch.setattr(item_knn, "_FIT_ROWS", 2)
    monkeypatch.setattr(neighbors, "_VOTES", 1)
    chunked = ItemKNN(3)
    chunked.fit(train, catalogue)
    assert torch.equal(chunked.neighbors_NK, whole.neighbors_NK)
    assert torch.equal(chunked(batch).scores_QN, scores_QN)
    assert float(scores_QN.max()) > 0


@pytest.mark.parametrize(
    ("neighbors", "shrink", "named"), [(0, 1.0, "neighbors"), (5, -1.0, "shrink"), (5, math.nan, "shrink")]
)
def test_settings_out_of_range_are_refused(neighbors: int, shrink: float, named: str) -> None:
    with pytest.raises(ConfigError, match=rf"model\.{named}"):
        ItemKNN(neighbors, shrink)
