"""The two simplest baselines."""

from __future__ import annotations

from collections.abc import Callable

import datasets
import pytest
import torch

from divrec.baselines import Popular, Random
from divrec.batch import Batch, Catalogue
from divrec.errors import ConfigError

BatchOf = Callable[..., Batch]


def test_popular_counts_training_events(train: datasets.Dataset, catalogue: Catalogue, batch_of: BatchOf) -> None:
    popular = Popular()
    popular.fit(train, catalogue)
    assert popular(batch_of([0, 1], [{}, {}])).scores_QN.tolist() == [[2, 4, 4, 4, 1, 0]] * 2


def test_random_is_a_pure_function_of_seed_and_user(
    train: datasets.Dataset, catalogue: Catalogue, batch_of: BatchOf
) -> None:
    first, again, other = Random(1), Random(1), Random(2)
    for baseline in (first, again, other):
        baseline.fit(train, catalogue)
    batch, turned = batch_of([7, 2], [{}, {}]), batch_of([2, 7, 9], [{}, {1: 1.0}, {}])
    scores_QN = first(batch).scores_QN
    assert torch.equal(scores_QN, again(batch).scores_QN)
    assert torch.equal(scores_QN.flip(0), first(turned).scores_QN[:2])
    assert not torch.equal(scores_QN, other(batch).scores_QN)
    assert not torch.equal(scores_QN[0], scores_QN[1])


def test_random_scores_are_uniform_and_independent(
    catalogue: Catalogue, train: datasets.Dataset, batch_of: BatchOf
) -> None:
    baseline = Random(0)
    baseline.fit(train, catalogue)
    scores_QN = baseline(batch_of(list(range(2000)), [{}] * 2000)).scores_QN
    assert float(scores_QN.min()) >= 0
    assert float(scores_QN.max()) < 1
    # five standard errors: 1/12 is the variance of a uniform score
    assert float((scores_QN.mean(0) - 0.5).abs().max()) < 5 / (12 * 2000) ** 0.5
    correlations = torch.corrcoef(scores_QN.T) - torch.eye(6)
    assert float(correlations.abs().max()) < 5 / 2000**0.5


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.seed"):
        Random(-1)
