"""Every regularizer of conf/diversity: finite on awkward input, lower for a more diverse slate, absent at beta = 0."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from contracts.conftest import CATEGORIES, ITEMS, options
from divrec.batch import ModelOutput, SoftSlate
from divrec.objectives import CrossEntropy, SoftTopK, TradeoffObjective
from divrec.run.door import CONF

NAMES = options("diversity")
USERS, K = 8, 5
# Regularizers that push a list away from the history: for them the history lies where the narrow lists lie.
AWAY_FROM_HISTORY = {"gini_overlap"}
# The value is a memory's and the gradient that of prices: it is not the value's derivative, by design.
EXPOSURE = {"gini", "coverage"}
# The items above are constants: the gradient is a part of the derivative, by design.
PREFIX = {name for name in NAMES if name.endswith("_prefix")}

BY_LIST = {"simpson", "entropy", "intra_list_similarity", "max_similarity", "nearest_similarity", "dpp"}


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def nodes():
    """The node of each, composed once."""
    with initialize_config_dir(CONF, version_base="1.3"):
        return {name: compose("train", overrides=[f"diversity={name}"]).diversity[name] for name in NAMES}


@pytest.fixture
def build(nodes):
    def built(name, catalogue, **settings):
        return instantiate(nodes[name], **settings)(catalogue=catalogue)

    return built


def test_all_levels_are_there():
    by_history = {"gini_overlap", "beta_divergence", "calibration"}
    assert set(NAMES) >= BY_LIST | PREFIX | by_history | EXPOSURE | {"popularity"}
    assert {"simpson_prefix", "intra_list_similarity_prefix", "nearest_similarity_prefix"} <= PREFIX


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


@pytest.mark.parametrize(
    "awkward", ["one user", "identical vectors", "one category", "empty history", "equal scores", "absent category"]
)
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
    elif awkward == "absent category":  # categories that neither candidates nor histories have
        catalogue = dataclasses.replace(tidy, category_count=CATEGORIES + 3)
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


def test_its_weight_scales_its_pull(name, build, tidy, make_batch):
    batch, scores_BN = make_batch(), torch.randn(USERS, ITEMS, requires_grad=True)
    pulls = []
    for weight in (1.0, 3.0):
        regularizer = build(name, tidy, weight=weight)
        objective = TradeoffObjective(CrossEntropy(), {name: regularizer}, SoftTopK(K, top=20), 1.0, "raw")
        terms = objective.train()(ModelOutput(scores_BN), batch)
        pulls.append(torch.autograd.grad(terms["total"] - terms["task"], scores_BN)[0])
    assert torch.allclose(3 * pulls[0], pulls[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", sorted(set(NAMES) - EXPOSURE - PREFIX))
def test_the_gradient_is_the_derivative_of_the_value(name, build, tidy, make_batch):
    regularizer = build(name, dataclasses.replace(tidy, vectors_ND=tidy.vectors_ND.double())).double()
    batch, scores_BN = make_batch(rows=2, dtype=torch.float64), torch.randn(2, ITEMS, dtype=torch.float64)
    relaxation = SoftTopK(K, width=0.3, top=20)
    assert torch.autograd.gradcheck(
        lambda given_BN: regularizer(relaxation(given_BN), batch), (scores_BN.requires_grad_(),)
    )


@pytest.mark.parametrize("name", sorted(set(NAMES) - EXPOSURE))  # to those, copies are items that deserve to be shown
def test_softening_never_lowers_the_penalty_of_items_that_are_alike(name, build, tidy, make_batch):
    """Twelve copies of one item: whichever of them are in the list, and how surely, the list is as narrow as can be."""
    copies = torch.zeros(ITEMS, dtype=torch.long)
    catalogue = dataclasses.replace(
        tidy,
        vectors_ND=tidy.vectors_ND[copies],
        categories_NJ=tidy.categories_NJ[copies],
        counts_N=tidy.counts_N[copies],
    )
    regularizer = build(name, catalogue)
    hardest, softer = hard_and_soft(regularizer, make_batch)
    assert min(softer) >= hardest - 1e-5


@pytest.mark.parametrize("name", sorted(BY_LIST | PREFIX))
def test_softening_never_lowers_the_penalty_of_items_that_all_differ(name, build, tidy, make_batch):
    """Twelve items, each of its own category, with a text at right angles to all others: no list is more diverse."""
    catalogue = dataclasses.replace(
        tidy,
        vectors_ND=torch.eye(ITEMS),
        categories_NJ=torch.arange(ITEMS).unsqueeze(-1),
        category_weights_NJ=torch.ones(ITEMS, 1),
        category_count=ITEMS,
    )
    hardest, softer = hard_and_soft(build(name, catalogue), make_batch)
    assert min(softer) >= hardest - 1e-5


def hard_and_soft(regularizer, make_batch):
    """The penalty of the first K of twelve items, and penalties of all twelve with memberships that sum to K."""
    batch, items_BM = with_history(make_batch(rows=1), torch.tensor([[40, 41]])), torch.arange(12).unsqueeze(0)

    def penalty(weights_BM):
        return regularizer(SoftSlate(items_BM, weights_BM, items_BM >= 0, K), batch).item()

    softer = []
    for seed in range(20):
        soft_BM = torch.rand(1, 12, generator=torch.Generator().manual_seed(seed)).sort(descending=True).values
        softer.append(penalty(soft_BM * K / soft_BM.sum()))
    return penalty((torch.arange(12) < K).float().unsqueeze(0)), softer


@pytest.mark.parametrize("name", sorted(EXPOSURE))
def test_softening_among_items_of_equal_exposure_costs_and_saves_nothing(name, build, tidy, make_batch):
    regularizer, pool_BM = build(name, tidy), torch.arange(12).expand(USERS, 12)
    for _ in range(3):
        regularizer(SoftSlate(pool_BM, torch.full((USERS, 12), K / 12), pool_BM >= 0, K), make_batch())
    weights_BM = torch.full((USERS, 12), K / 12, requires_grad=True)
    value = regularizer(SoftSlate(pool_BM, weights_BM, pool_BM >= 0, K), make_batch())
    (gradient_BM,) = torch.autograd.grad(value, weights_BM)
    assert gradient_BM.abs().max() > 0
    assert torch.allclose(gradient_BM, gradient_BM[0, 0].expand_as(gradient_BM))


@pytest.mark.parametrize(("first", "second"), list(zip(NAMES, NAMES[1:] + NAMES[:1], strict=True)))
def test_two_in_one_run_merge(first, second, configured, tidy, make_batch):
    together = configured(f"diversity=[{first},{second}]").diversity
    assert set(together) == {first, second}
    regularizers = {name: instantiate(node)(catalogue=tidy) for name, node in together.items()}
    terms = TradeoffObjective(CrossEntropy(), regularizers, SoftTopK(K, top=20), 0.5, "raw")(
        ModelOutput(torch.randn(USERS, ITEMS)), make_batch()
    )
    summed = terms["task"] + 0.5 * (terms[f"diversity/{first}"] + terms[f"diversity/{second}"])
    assert torch.allclose(terms["total"], summed)
