import math

import pytest
import torch
from torch.nn import functional

from divrec.errors import ConfigError
from divrec.objectives import BinaryCrossEntropy, CrossEntropy, MeanSquaredError

ITEMS = 60


def test_cross_entropy_of_equal_scores_is_log_n(make_batch):
    assert CrossEntropy()(torch.zeros(8, ITEMS), make_batch()).item() == pytest.approx(math.log(ITEMS), rel=1e-6)


def test_cross_entropy_equals_torchs_own(make_batch):
    batch, scores = make_batch(), torch.randn(8, ITEMS)
    expected = functional.cross_entropy(scores[batch.target_queries_P], batch.target_items_P)
    assert torch.allclose(CrossEntropy()(scores, batch), expected)


def test_masked_items_leave_the_cross_entropys_competition(make_batch):
    batch, scores = make_batch(), torch.randn(8, ITEMS)
    masked = scores.scatter(1, batch.seen_QS, -torch.inf)
    assert CrossEntropy()(masked, batch) < CrossEntropy()(scores, batch)


@pytest.mark.parametrize("task", [BinaryCrossEntropy(num_negatives=None), MeanSquaredError(num_negatives=None)])
def test_against_all_items_equals_the_slow_definition(task, make_batch):
    batch, scores = make_batch(), torch.randn(8, ITEMS)
    positives, negatives = [], []
    for row in range(8):
        own = set(batch.target_items_P[batch.target_queries_P == row].tolist())
        for item in range(ITEMS):
            value = scores[row, item]
            label = torch.tensor(1.0 if item in own else 0.0)
            if isinstance(task, MeanSquaredError):
                loss = (value - label) ** 2
            else:
                loss = functional.binary_cross_entropy_with_logits(value, label)
            (positives if item in own else negatives).append(loss)
    expected = torch.stack(positives).mean() + torch.stack(negatives).mean()
    assert torch.allclose(task(scores, batch), expected, atol=1e-6)


@pytest.mark.parametrize("kind", [BinaryCrossEntropy, MeanSquaredError])
def test_masked_scores_keep_loss_and_gradient_finite(kind, make_batch):
    batch = make_batch()
    free = torch.randn(8, ITEMS).requires_grad_()
    loss = kind(num_negatives=30)(
        free.masked_fill(torch.zeros_like(free).scatter(1, batch.seen_QS, 1) > 0, -torch.inf), batch
    )
    (gradient,) = torch.autograd.grad(loss, free)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


def test_negatives_are_the_same_for_the_same_seed(make_batch):
    batch, scores = make_batch(), torch.randn(8, ITEMS)
    first, second = (BinaryCrossEntropy(num_negatives=5, seed=3)(scores, batch) for _ in range(2))
    assert torch.equal(first, second)


def test_no_negatives_are_refused():
    with pytest.raises(ConfigError, match="num_negatives"):
        BinaryCrossEntropy(num_negatives=0)
