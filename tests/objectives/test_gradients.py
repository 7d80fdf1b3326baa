"""The norm of a gradient as batches of another size have it."""

import pytest
import torch
from torch import nn

from divrec.objectives.gradients import GradientNorm

WIDTH = 400


def measured(size, count, noise=3.0, seed=0):
    """Norms over batches whose users pull at the weights with a common part of length 1 and a part of their own."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.nn.functional.normalize(torch.randn(WIDTH, generator=generator), dim=0)
    weights = nn.Parameter(torch.zeros(WIDTH))
    norm = GradientNorm([weights])
    for _ in range(count):
        own = noise * torch.randn(size, WIDTH, generator=generator) / WIDTH**0.5
        norm.add(((common + own) @ weights).mean())
    return norm


@pytest.mark.parametrize("times", [0.25, 1, 4, 16])
def test_batches_tell_the_norm_of_larger_and_smaller_ones(times):
    size = 8
    expected = (1 + 9 / (size * times)) ** 0.5  # |G| = 1, a user's noise has length 3
    assert measured(size, 40).of_larger_batches(times) == pytest.approx(expected, rel=0.03)


def test_the_norm_of_the_batches_themselves_is_the_root_mean_square():
    norm = measured(4, 10)
    assert norm.of_larger_batches(1) == pytest.approx(norm.of_batches())
    generator = torch.Generator().manual_seed(0)
    common = torch.nn.functional.normalize(torch.randn(WIDTH, generator=generator), dim=0)
    pulls = [common + 3 * torch.randn(4, WIDTH, generator=generator).mean(0) / WIDTH**0.5 for _ in range(10)]
    assert norm.of_batches() == pytest.approx((sum(float(g.square().sum()) for g in pulls) / 10) ** 0.5, rel=1e-5)


def test_a_single_batch_is_taken_as_it_is():
    norm = measured(8, 1)
    assert norm.of_larger_batches(100) == norm.of_batches()


def test_noise_alone_never_gives_less_than_nothing():
    norm = GradientNorm([weights := nn.Parameter(torch.zeros(2))])
    for sign in (1.0, -1.0):
        norm.add(sign * weights.sum())
    assert norm.of_larger_batches(1e12) == pytest.approx(0, abs=1e-5)


def test_a_term_without_gradient_has_norm_zero():
    norm = GradientNorm([nn.Parameter(torch.ones(3))])
    norm.add(torch.tensor(2.0))
    norm.add(torch.tensor(3.0))
    assert norm.of_batches() == norm.of_larger_batches(4) == 0


def test_the_norm_on_some_of_the_parameters():
    first, second = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(4))
    norm = GradientNorm([first, second])
    norm.add(2 * first.sum() + second.sum())
    assert norm.of_batches([second]) == pytest.approx(2)
    assert norm.of_batches() == pytest.approx(4)
