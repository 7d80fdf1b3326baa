"""Every task loss of conf/task and every relaxation of conf/relaxation."""

from __future__ import annotations

import pytest
import torch
from hydra.utils import instantiate
from torch import nn

from contracts.conftest import ITEMS, options
from divrec.objectives import FactoredScores

K = 10


class InChunks(nn.Module):
    """A loss that computes scores chunk by chunk, on scores whose factors are themselves and the identity."""

    def __init__(self, task):
        super().__init__()
        self.task = task

    def forward(self, scores, batch):
        masked = torch.isneginf(scores)
        seen = torch.arange(ITEMS).where(masked, ITEMS)
        return self.task(FactoredScores(scores.masked_fill(masked, 0), torch.eye(ITEMS), seen), batch)


@pytest.fixture(params=[*options("task"), "cross_entropy task.chunk=7"])
def task(request, configured):
    option, *overrides = request.param.split()
    built = instantiate(configured(f"task={option}", *overrides).task)
    return built if built.chunk is None else InChunks(built)


@pytest.fixture(params=options("relaxation"))
def relax(request, configured):
    return instantiate(configured(f"relaxation={request.param}", f"k={K}").relaxation)


def gradient_of(value, scores):
    return torch.autograd.grad(value, scores)[0]


@pytest.mark.parametrize("awkward", ["ordinary", "one user", "equal scores", "huge scores", "seen masked"])
def test_a_task_loss_is_finite_with_a_gradient(task, awkward, make_batch):
    batch = make_batch(rows=1 if awkward == "one user" else 8)
    scores = torch.randn(batch.users_B.shape[0], ITEMS)
    if awkward == "equal scores":
        scores = torch.zeros_like(scores)
    elif awkward == "huge scores":
        scores = 1e4 * scores
    elif awkward == "seen masked":
        scores = scores.scatter(1, batch.seen_QS, -torch.inf)
    scores.requires_grad_()
    value = task(scores, batch)
    gradient = gradient_of(value, scores)
    assert value.shape == ()
    assert torch.isfinite(value)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


def test_a_task_loss_pulls_targets_up_and_others_not(task, make_batch):
    batch, scores = make_batch(), torch.zeros(8, ITEMS, requires_grad=True)
    gradient = gradient_of(task(scores, batch), scores)
    is_target = torch.zeros(8, ITEMS, dtype=torch.bool)
    is_target[batch.target_queries_P, batch.target_items_P] = True
    assert (gradient[is_target] < 0).all()
    assert (gradient[~is_target] >= 0).all()


def test_a_task_loss_is_lower_where_targets_score_higher(task, make_batch):
    batch, flat = make_batch(), torch.full((8, ITEMS), -0.5)
    raised = flat.clone()
    raised[batch.target_queries_P, batch.target_items_P] = 1.0
    assert task(raised, batch) < task(flat, batch)


def test_a_relaxation_fills_k_places_with_the_best_items(relax):
    scores = torch.randn(8, ITEMS)
    slate = relax(scores)
    assert slate.k == K
    assert torch.allclose(slate.weights_BM.sum(-1), torch.full((8,), float(K)), rtol=1e-4)
    assert (slate.weights_BM >= 0).all()
    heaviest = slate.items_BM.gather(1, slate.weights_BM.topk(3, dim=-1).indices).sort(-1).values
    assert torch.equal(heaviest, scores.topk(3, dim=-1).indices.sort(-1).values) or slate.weights_BM.max() > 1 - 1e-4


@pytest.mark.parametrize("awkward", ["equal scores", "one user", "ties", "few candidates", "huge scores"])
def test_a_relaxation_is_finite_with_finite_gradients(relax, awkward):
    scores = torch.randn(1 if awkward == "one user" else 8, ITEMS)
    if awkward == "equal scores":
        scores = torch.ones_like(scores)
    elif awkward == "ties":
        scores = scores.round()
    elif awkward == "few candidates":
        scores[:, K - 3 :] = -torch.inf
    elif awkward == "huge scores":
        scores = 1e6 * scores
    scores.requires_grad_()
    slate = relax(scores)
    weighted = slate.weights_BM * torch.linspace(0, 1, slate.weights_BM.shape[1])
    gradient = gradient_of(weighted.sum(), scores)
    assert torch.isfinite(slate.weights_BM).all()
    assert torch.isfinite(gradient).all()


def test_a_relaxation_gives_masked_items_no_weight_and_no_gradient(relax):
    scores = torch.randn(8, ITEMS)
    scores[:, ::2] = -torch.inf
    scores.requires_grad_()
    slate = relax(scores)
    assert slate.weights_BM[slate.items_BM % 2 == 0].abs().max() == 0
    gradient = gradient_of(slate.weights_BM.square().sum(), scores)
    assert gradient[:, ::2].abs().max() == 0
    assert gradient[:, 1::2].abs().max() > 0


def test_a_shift_of_all_scores_changes_no_relaxation(relax):
    scores = torch.randn(8, ITEMS, dtype=torch.float64)
    assert torch.allclose(relax(scores).weights_BM, relax(scores + 17).weights_BM, atol=1e-9)
