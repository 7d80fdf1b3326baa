"""The one similarity: its range, its factor, and what it is for known vectors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from divrec.similarity import distance, embed, similarity


def _unit(*shape: int, seed: int = 0) -> Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)


@pytest.mark.parametrize(
    ("right", "alike", "apart"),
    [([1.0, 0.0], 1.0, 0.0), ([0.0, 1.0], 0.5, 1.0), ([-1.0, 0.0], 0.0, 2.0), ([0.6, 0.8], 0.8, 0.4)],
)
def test_known_angles(right: list[float], alike: float, apart: float) -> None:
    left = torch.tensor([[1.0, 0.0]])
    assert float(similarity(left, torch.tensor([right]))) == pytest.approx(alike)
    assert float(distance(left, torch.tensor([right]))) == pytest.approx(apart)


@given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 1000))
@settings(deadline=None)
def test_is_the_product_of_the_factor(count: int, width: int, seed: int) -> None:
    vectors_MD = _unit(count, width, seed=seed)
    matrix = similarity(vectors_MD, vectors_MD)
    assert embed(vectors_MD).shape == (count, width + 1)
    torch.testing.assert_close(embed(vectors_MD) @ embed(vectors_MD).T, matrix)
    torch.testing.assert_close(matrix, matrix.T)
    torch.testing.assert_close(matrix.diagonal(), torch.ones(count, dtype=torch.float64))
    assert float(matrix.min()) >= -1e-12
    assert float(matrix.max()) <= 1 + 1e-12
    assert float(torch.linalg.eigvalsh(matrix).min()) >= -1e-9


def test_distance_is_one_less_cosine() -> None:
    left, right = _unit(4, 6), _unit(5, 6, seed=1)
    torch.testing.assert_close(distance(left, right), 1 - left @ right.T)


def test_leading_dimensions_are_batches() -> None:
    left, right = _unit(3, 4, 6), _unit(3, 5, 6, seed=1)
    together = similarity(left, right)
    assert together.shape == (3, 4, 5)
    for row in range(3):
        torch.testing.assert_close(together[row], similarity(left[row], right[row]))


def test_gradients_flow() -> None:
    left, right = _unit(2, 3).requires_grad_(), _unit(4, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(distance, (left, right))
    assert torch.autograd.gradcheck(embed, (left,))
