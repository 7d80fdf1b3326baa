"""Every regularizer of conf/diversity: finite on awkward input, lower for a more diverse slate, absent at beta = 0."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch
from hydra.utils import instantiate

from contracts.conftest import CATEGORIES, ITEMS, options
from divrec.batch import ModelOutput, SoftSlate
from divrec.objectives import CrossEntropy, SoftTopK, TradeoffObjective

NAMES = options("diversity")
USERS, K = 8, 5
# Regularizers that push a list away from the history: for them the history lies where the narrow lists lie.
AWAY_FROM_HISTORY = {"gini_overlap"}


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def build(configured):
    def built(name, catalogue):
        return instantiate(configured(f"diversity={name}").diversity[name])(catalogue=catalogue)

    return built


def hard(items_BK):
    return SoftSlate(items_BK, torch.ones(items_BK.shape), torch.ones(items_BK.shape, dtype=torch.bool), K)


def with_history(batch, items_BS):
    return dataclasses.replace(batch, seen_QS=items_BS, history_QS=torch.ones(items_BS.shape))


def value_and_gradient(regularizer, batch, scores_BN):
    scores_BN.requires_grad_()
    regularizer.train()
    value = regularizer(SoftTopK(K, top=20)(scores_BN), batch)
    (gradient_BN,) = torch.autograd.grad(value, scores_BN)
    return value, gradient_BN


def test_it_acts_on_an_ordinary_batch(name, build, tidy, make_batch):
    value, gradient_BN = value_and_gradient(build(name, tidy), make_batch(), torch.randn(USERS, ITEMS))
    assert value.shape == ()
    assert -0.1 <= value.item() <= 1.1
    assert gradient_BN.abs().sum() > 0
    assert torch.isfinite(gradient_BN).all()


@pytest.mark.parametrize("awkward", ["one user", "identical vectors", "one category", "empty history", "equal scores"])
def test_awkward_input_gives_finite_values_and_gradients(name, awkward, build, tidy, make_batch):
    catalogue, batch, scores_BN = tidy, make_batch(), torch.randn(USERS, ITEMS)
    if awkward == "one user":
        batch, scores_BN = make_batch(rows=1), torch.randn(1, ITEMS)
    elif awkward == "identical vectors":
        catalogue = dataclasses.replace(tidy, vectors_ND=tidy.vectors_ND[:1].expand(ITEMS, -1))
    elif awkward == "one category":
        catalogue = dataclasses.replace(tidy, categories_NJ=torch.zeros_like(tidy.categories_NJ), category_count=1)
    elif awkward == "empty history":
        batch = dataclasses.replace(
            batch, seen_QS=torch.full_like(batch.seen_QS, ITEMS), history_QS=torch.zeros_like(batch.history_QS)
        )
    else:
        scores_BN = torch.zeros(USERS, ITEMS)
    value, gradient_BN = value_and_gradient(build(name, catalogue), batch, scores_BN)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient_BN).all()


def test_seen_items_masked_with_minus_infinity_leave_it_finite(name, build, tidy, make_batch):
    batch = make_batch()
    scores_BN = torch.randn(USERS, ITEMS).scatter(1, batch.seen_QS, -torch.inf)
    value, gradient_BN = value_and_gradient(build(name, tidy), batch, scores_BN)
    assert torch.isfinite(value)
    assert torch.isfinite(gradient_BN).all()
    assert gradient_BN.gather(1, batch.seen_QS).abs().max() == 0


def test_it_is_lower_for_a_visibly_more_diverse_slate(name, build, tidy, make_batch):
    """Narrow: five popular items of one category, the same for everybody; wide: five categories, other items each."""
    narrow_BK = (CATEGORIES * torch.arange(K)).expand(USERS, K)
    wide_BK = 12 + CATEGORIES * torch.arange(USERS).unsqueeze(-1) + torch.arange(K)
    history = narrow_BK if name in AWAY_FROM_HISTORY else torch.arange(CATEGORIES).expand(USERS, CATEGORIES)
    batch = with_history(make_batch(), history)
    narrow, wide = (build(name, tidy).train()(hard(items), batch).item() for items in (narrow_BK, wide_BK))
    assert wide < narrow - 0.05


def test_beta_zero_is_the_task_alone_bit_for_bit(name, build, tidy, make_batch):
    batch, scores_BN = make_batch(), torch.randn(USERS, ITEMS, requires_grad=True)
    state = torch.get_rng_state()
    totals = [
        TradeoffObjective(CrossEntropy(), regularizers, SoftTopK(K, top=20), 0.0)(ModelOutput(scores_BN), batch)
        for regularizers in ({}, {name: build(name, tidy)})
    ]
    assert torch.equal(totals[0]["total"], totals[1]["total"])
    gradients = [torch.autograd.grad(terms["total"], scores_BN)[0] for terms in totals]
    assert torch.equal(*gradients)
    assert gradients[0].abs().sum() > 0
    assert torch.equal(torch.get_rng_state(), state), "it draws nothing from the training's generator"


def test_its_weight_scales_its_pull(name, configured, tidy, make_batch):
    batch, scores_BN = make_batch(), torch.randn(USERS, ITEMS, requires_grad=True)
    pulls = []
    for weight in (1.0, 3.0):
        node = configured(f"diversity={name}", f"diversity.{name}.weight={weight}").diversity[name]
        objective = TradeoffObjective(
            CrossEntropy(), {name: instantiate(node)(catalogue=tidy)}, SoftTopK(K, top=20), 1.0, "raw"
        )
        terms = objective.train()(ModelOutput(scores_BN), batch)
        pulls.append(torch.autograd.grad(terms["total"] - terms["task"], scores_BN)[0])
    assert torch.allclose(3 * pulls[0], pulls[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(NAMES, 2)))
def test_two_in_one_run_merge(first, second, configured, tidy, make_batch):
    nodes = configured(f"diversity=[{first},{second}]").diversity
    assert set(nodes) == {first, second}
    regularizers = {name: instantiate(node)(catalogue=tidy) for name, node in nodes.items()}
    terms = TradeoffObjective(CrossEntropy(), regularizers, SoftTopK(K, top=20), 0.5, "raw")(
        ModelOutput(torch.randn(USERS, ITEMS)), make_batch()
    )
    summed = terms["task"] + 0.5 * (terms[f"diversity/{first}"] + terms[f"diversity/{second}"])
    assert torch.allclose(terms["total"], summed)
