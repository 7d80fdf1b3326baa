"""The list against the history, in category shares."""

from __future__ import annotations

import pytest
import torch

from divrec.batch import Catalogue, Slate
from divrec.metrics import HistoryOverlap
from divrec.metrics.history import history_profile


@pytest.fixture
def plain() -> Catalogue:
    """Four items, the first two in category 0, the others in 1 and 2."""
    categories_NJ = torch.tensor([[0], [0], [1], [2]])
    return Catalogue(torch.eye(4), categories_NJ, torch.ones(4, 1), 3, torch.ones(4, dtype=torch.int64))


def test_by_hand(plain: Catalogue) -> None:
    metric = HistoryOverlap(2)
    slate = Slate(torch.tensor([[0, 1, 3], [2, 3, 0], [0, 2, 1], [-1, -1, -1]]), torch.zeros(4, 3))
    seen_BS = torch.tensor([[1, 4], [0, 4], [2, 3], [0, 4]])
    history_BS = torch.tensor([[0.3, 0.0], [1.0, 0.0], [0.5, 1.0], [1.0, 0.0]])
    metric.update(slate, plain, seen_BS, history_BS)
    # the same category; another one; shares (1/2, 1/2, 0) against (0, 1/3, 2/3); an empty list
    assert metric.values_B.tolist() == pytest.approx([1, 0, 2 * (1 / 6) / 2, float("nan")], nan_ok=True)
    assert int(metric.undefined) == 1
    assert int(metric.empty_histories) == 0


def test_an_empty_history_is_the_uniform_reference_and_is_counted(plain: Catalogue) -> None:
    metric = HistoryOverlap(2)
    slate = Slate(torch.tensor([[0, 1]]), torch.zeros(1, 2))
    metric.update(slate, plain, torch.full((1, 3), 4), torch.zeros(1, 3))
    assert float(metric.compute()) == pytest.approx(2 * (1 / 3) / 2)
    assert int(metric.empty_histories) == 1
    assert int(metric.undefined) == 0


def test_nobody_has_a_profile_where_no_place_is_left_for_a_history(plain: Catalogue) -> None:
    profile_BD = history_profile(plain, torch.empty(2, 0, dtype=torch.int64), torch.empty(2, 0))
    assert profile_BD.shape == (2, 4)
    assert profile_BD.isnan().all()
