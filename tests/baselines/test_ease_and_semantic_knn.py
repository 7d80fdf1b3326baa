"""EASE and the text neighbors against slow definitions."""

from __future__ import annotations

from collections.abc import Callable

import datasets
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from divrec.baselines import EASE, SemanticKNN
from divrec.batch import Batch, Catalogue
from divrec.errors import ConfigError, DataError

BatchOf = Callable[..., Batch]


def _catalogue(size: int, seed: int = 0) -> Catalogue:
    zeros = torch.zeros(size, 1, dtype=torch.int64)
    vectors_ND = normalize(torch.randn(size, 4, generator=torch.Generator().manual_seed(seed)), dim=-1)
    return Catalogue(vectors_ND, zeros, torch.ones(size, 1), 1, zeros[:, 0])


@given(
    st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=6), min_size=1, max_size=8),
    st.sampled_from([0.5, 20.0, 500.0]),
)
@settings(max_examples=30, deadline=None)
def test_each_column_of_ease_is_a_ridge_regression_on_the_other_items(histories: list[list[int]], ridge: float) -> None:
    baseline = EASE(ridge)
    train = datasets.Dataset.from_dict({"user": list(range(len(histories))), "items": histories})
    baseline.fit(train, _catalogue(8))
    touched = np.zeros((len(histories), 8))
    for user, items in enumerate(histories):
        touched[user, items] = 1
    for item in range(8):
        others = [other for other in range(8) if other != item]
        x = touched[:, others]
        slow = np.linalg.solve(x.T @ x + ridge * np.eye(7), x.T @ touched[:, item])
        assert baseline.weights_NN[others, item].numpy() == pytest.approx(slow, abs=2e-5)
        assert float(baseline.weights_NN[item, item]) == 0


def test_ease_scores_are_history_times_weights(
    train: datasets.Dataset, catalogue: Catalogue, batch_of: BatchOf
) -> None:
    baseline = EASE(1.0)
    baseline.fit(train, catalogue)
    scores_QN = baseline(batch_of([0, 1], [{1: 0.5, 3: 1.0}, {}])).scores_QN
    torch.testing.assert_close(scores_QN[0], 0.5 * baseline.weights_NN[1] + baseline.weights_NN[3])
    assert scores_QN[1].tolist() == [0] * 6


def test_ease_refuses_what_would_not_fit(train: datasets.Dataset, catalogue: Catalogue) -> None:
    with pytest.raises(DataError, match="most_items"):
        EASE(most_items=5).fit(train, catalogue)
    for arguments in ({"ridge": 0.0}, {"most_items": 0}):
        with pytest.raises(ConfigError, match=f"model.{next(iter(arguments))}"):
            EASE(**arguments)  # type: ignore[arg-type]


def test_text_neighbors_are_the_nearest_texts(train: datasets.Dataset) -> None:
    catalogue = _catalogue(30, seed=3)
    baseline = SemanticKNN(neighbors=4)
    baseline.fit(train, catalogue)
    cosines = catalogue.vectors_ND @ catalogue.vectors_ND.T - 9 * torch.eye(30)
    for item in range(30):
        best = cosines[item].topk(4)
        kept = best.values > 0
        assert baseline.neighbors_NK[item][kept].tolist() == best.indices[kept].tolist()
        torch.testing.assert_close(baseline.similarities_NK[item], best.values.clamp(min=0))


def test_equal_texts_are_neighbors_in_the_order_of_their_numbers(train: datasets.Dataset) -> None:
    catalogue = _catalogue(5)
    catalogue.vectors_ND[1:] = catalogue.vectors_ND[0]
    baseline = SemanticKNN(neighbors=2)
    baseline.fit(train, catalogue)
    assert baseline.neighbors_NK.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1], [0, 1]]
