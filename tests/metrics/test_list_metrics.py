"""Diversity of single lists against per-user loops that follow the definitions."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch

from divrec.batch import Catalogue, Slate
from divrec.metrics import (
    AverageDistance,
    CategoryEntropy,
    DistinctCategories,
    MinimumDistance,
    PopularityBias,
    SimpsonDiversity,
    UserMean,
)

LISTS = torch.tensor([[0, 3, 7, 12], [29, 5, -1, -1], [8, -1, -1, -1], [-1, -1, -1, -1]])
KINDS = (CategoryEntropy, SimpsonDiversity, AverageDistance, MinimumDistance, PopularityBias)


def _shares(items: list[int], catalogue: Catalogue) -> list[float]:
    shares = [0.0] * catalogue.category_count
    for item in items:
        for category, weight in zip(catalogue.categories_NJ[item], catalogue.category_weights_NJ[item], strict=True):
            shares[int(category)] += float(weight) / len(items)
    return shares


def _slow(kind: type[UserMean], items: list[int], catalogue: Catalogue) -> float:
    pairs = list(itertools.combinations(items, 2))
    if not items or (not pairs and kind in (AverageDistance, MinimumDistance)):
        return math.nan
    shares = _shares(items, catalogue)
    distances = [1 - float(catalogue.vectors_ND[a] @ catalogue.vectors_ND[b]) for a, b in pairs]
    total, size = int(catalogue.counts_N.sum()), catalogue.size
    popularity = [
        1 - math.log((int(catalogue.counts_N[i]) + 1) / (total + size)) / math.log(1 / (total + size)) for i in items
    ]
    return {
        CategoryEntropy: lambda: -sum(q * math.log(q) for q in shares if q > 0),
        SimpsonDiversity: lambda: 1 - sum(q * q for q in shares),
        AverageDistance: lambda: sum(distances) / len(distances),
        MinimumDistance: lambda: min(distances),
        PopularityBias: lambda: sum(popularity) / len(popularity),
    }[kind]()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [2, 4])
def test_equals_the_slow_definition(kind: type[UserMean], k: int, catalogue: Catalogue) -> None:
    metric = kind(k)  # type: ignore[call-arg]
    metric.update(Slate(LISTS, torch.zeros(4, 4)), catalogue)
    slow = [_slow(kind, [item for item in row[:k] if item >= 0], catalogue) for row in LISTS.tolist()]
    assert metric.values_B.tolist() == pytest.approx(slow, abs=1e-6, nan_ok=True)
    defined = [value for value in slow if not math.isnan(value)]
    assert float(metric.compute()) == pytest.approx(sum(defined) / len(defined), abs=1e-6)
    assert int(metric.undefined) == len(slow) - len(defined)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_a_list_does_not_matter(kind: type[UserMean], catalogue: Catalogue) -> None:
    metric = kind(4)  # type: ignore[call-arg]
    metric.update(Slate(LISTS, torch.zeros(4, 4)), catalogue)
    straight = metric.values_B
    metric.update(Slate(LISTS.flip(-1), torch.zeros(4, 4)), catalogue)
    torch.testing.assert_close(metric.values_B, straight, equal_nan=True, atol=1e-6, rtol=0)


def test_a_duplicate_has_no_distance(catalogue: Catalogue) -> None:
    metric = MinimumDistance(3)
    metric.update(Slate(torch.tensor([[4, 9, 4]]), torch.zeros(1, 3)), catalogue)
    assert float(metric.compute()) == pytest.approx(0, abs=1e-6)


def test_duplicates_in_narrow_numbers_are_not_closer_than_nothing() -> None:
    vectors_ND = torch.nn.functional.normalize(torch.randn(200, 37, generator=torch.Generator().manual_seed(0)), dim=-1)
    one_each = Catalogue(vectors_ND, torch.zeros(200, 1).long(), torch.ones(200, 1), 1, torch.ones(200).long())
    doubled = Slate(torch.arange(200).unsqueeze(-1).expand(200, 2), torch.zeros(200, 2))
    assert bool((1 - (vectors_ND * vectors_ND).sum(-1) < 0).any()), "rounding makes some negative"
    metric = MinimumDistance(2)
    metric.update(doubled, one_each)
    assert bool((metric.values_B >= 0).all())
    assert not bool(torch.signbit(metric.values_B).any()), "nor is one printed as -0"


@pytest.mark.parametrize("kind", [CategoryEntropy, SimpsonDiversity, DistinctCategories])
def test_a_list_of_items_without_a_category_has_no_shares(kind: type[UserMean], catalogue: Catalogue) -> None:
    weights_NJ = catalogue.category_weights_NJ.clone()
    weights_NJ[[3, 7]] = 0
    bare = dataclasses.replace(catalogue, category_weights_NJ=weights_NJ)
    metric = kind(3)  # type: ignore[call-arg]
    metric.update(Slate(torch.tensor([[3, 7, -1], [3, 7, 12], [-1, -1, -1]]), torch.zeros(3, 3)), bare)
    assert metric.values_B.isnan().tolist() == [True, False, True]
    assert int(metric.undefined) == 2
    alone = kind(1)  # type: ignore[call-arg]
    alone.update(Slate(torch.tensor([[12]]), torch.zeros(1, 1)), bare)
    assert metric.values_B[1] == pytest.approx(float(alone.values_B[0])), "the others of its list do not count"
