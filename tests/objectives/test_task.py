import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from divrec.errors import ConfigError
from divrec.objectives import (
    BayesianPersonalizedRanking,
    BinaryCrossEntropy,
    CrossEntropy,
    MeanSquaredError,
    SampledCrossEntropy,
)

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


def with_all_items_as_negatives(batch):
    everything = torch.arange(ITEMS).expand(8, ITEMS)
    return replace(
        batch,
        negatives_QC=everything,
        negative_values_QC=torch.zeros(8, ITEMS),
        negative_log_q_QC=torch.full((8, ITEMS), -math.log(ITEMS)),
    )


def test_sampled_cross_entropy_with_every_item_once_is_the_full_one_against_no_other_target(make_batch):
    batch, scores = make_batch(), torch.randn(8, ITEMS)
    found = SampledCrossEntropy()(scores, with_all_items_as_negatives(batch))
    losses = []
    for query, item in zip(batch.target_queries_P.tolist(), batch.target_items_P.tolist(), strict=True):
        others = batch.target_items_P[batch.target_queries_P == query]
        open_scores = scores[query].clone()
        open_scores[others[others != item]] = -torch.inf
        losses.append(functional.cross_entropy(open_scores, torch.tensor(item)))
    assert torch.allclose(found, torch.stack(losses).mean(), atol=1e-6)


def test_the_correction_makes_the_sampled_normalizer_unbiased(make_batch):
    """Mean over many draws of exp(loss) for one target is the full softmax's, whatever items are drawn more often."""
    batch = make_batch(rows=1)
    batch = replace(
        batch,
        target_queries_P=batch.target_queries_P[:1],
        target_items_P=batch.target_items_P[:1],
        target_values_P=batch.target_values_P[:1],
    )
    scores = torch.randn(1, ITEMS, dtype=torch.float64)
    chances = torch.softmax(torch.randn(ITEMS, dtype=torch.float64, generator=torch.Generator().manual_seed(2)), 0)
    task, total, draws = SampledCrossEntropy(), 0.0, 4000
    drawn = torch.multinomial(chances, draws * 20, replacement=True, generator=torch.Generator().manual_seed(3))
    for negatives in drawn.view(draws, 1, 20):
        sampled = replace(
            batch,
            negatives_QC=negatives,
            negative_values_QC=torch.zeros(1, 20),
            negative_log_q_QC=chances.log()[negatives],
        )
        total += task(scores, sampled).exp().item() / draws
    assert total == pytest.approx(CrossEntropy()(scores, batch).exp().item(), rel=0.02)


def test_negatives_of_unknown_chance_cannot_be_corrected_for(make_batch):
    batch = replace(with_all_items_as_negatives(make_batch()), negative_log_q_QC=None)
    scores = torch.randn(8, ITEMS)
    with pytest.raises(ConfigError, match="log_q"):
        SampledCrossEntropy()(scores, batch)
    assert torch.isfinite(SampledCrossEntropy(log_q=False)(scores, batch))


def test_a_target_without_usable_negatives_costs_nothing_and_breaks_nothing(make_batch):
    batch = make_batch()
    own = batch.target_items_P.view(8, 2)
    alone = replace(batch, negatives_QC=own, negative_values_QC=own * 0.0, negative_log_q_QC=own * 0.0)
    for task in (SampledCrossEntropy(), BayesianPersonalizedRanking()):
        scores = torch.randn(8, ITEMS).requires_grad_()
        loss = task(scores, alone)
        (gradient,) = torch.autograd.grad(loss, scores)
        assert loss.item() == pytest.approx(0, abs=1e-6)
        assert torch.isfinite(gradient).all()


def test_bpr_equals_the_slow_definition(make_batch):
    batch, scores = make_batch(), torch.randn(8, ITEMS)
    losses = []
    for query, item in zip(batch.target_queries_P.tolist(), batch.target_items_P.tolist(), strict=True):
        targets = set(batch.target_items_P[batch.target_queries_P == query].tolist())
        margins = [scores[query, item] - scores[query, other] for other in range(ITEMS) if other not in targets]
        losses.append(-functional.logsigmoid(torch.stack(margins)).mean())
    found = BayesianPersonalizedRanking(num_negatives=None)(scores, batch)
    assert torch.allclose(found, torch.stack(losses).mean(), atol=1e-6)


def test_the_full_softmax_pays_no_heed_to_negatives(make_batch):
    batch = with_all_items_as_negatives(make_batch())
    assert CrossEntropy().with_negatives(batch, ITEMS).negatives_QC is None
