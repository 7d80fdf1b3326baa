import dataclasses

import pytest
import torch

from divrec.batch import SoftSlate
from divrec.measures import gini_index, gini_price, unseen_share
from divrec.objectives import Coverage, ExposureGini, ExposureMemory

SIZE = 60


def slate_of(items):
    items = torch.as_tensor(items)
    return SoftSlate(items, torch.ones(items.shape).double(), torch.ones_like(items, dtype=torch.bool), items.shape[1])


def differentiable(items):
    slate = slate_of(items)
    slate.weights_BM.requires_grad_()
    return slate


def test_memory_of_one_batch_is_that_batch_whatever_the_rate():
    for rate in (0.0, 0.5, 0.98):
        memory = ExposureMemory(SIZE, rate).double()
        assert memory.exposure().sum() == 0
        memory.update(slate_of([[1, 2], [1, 3]]))
        expected = torch.zeros(SIZE).double()
        expected[1], expected[2], expected[3] = 1.0, 0.5, 0.5
        assert torch.allclose(memory.exposure(), expected, atol=1e-6)


def test_memory_is_the_exponential_average_of_its_batches():
    memory = ExposureMemory(SIZE, rate=0.5).double()
    for item in (1, 2, 3):
        memory.update(slate_of([[item, 0]] * 256))
    # weights 1/8, 1/4, 1/2 of three full batches, over their sum
    assert torch.allclose(memory.exposure()[:4], torch.tensor([7.0, 1.0, 2.0, 4.0]).double() / 7)


def test_memory_forgets_by_users_and_not_by_batches():
    whole, parts = ExposureMemory(SIZE).double(), ExposureMemory(SIZE).double()
    whole.update(slate_of([[1, 2], [1, 2]]))
    for _ in range(2):
        parts.update(slate_of([[1, 2]]))
    assert whole.average_N.sum() > 0
    assert torch.allclose(whole.average_N, parts.average_N)


@pytest.mark.parametrize("kind", [ExposureGini, Coverage])
def test_evaluation_leaves_the_memory_alone(kind, catalogue, make_batch):
    regularizer = kind(catalogue).eval()
    regularizer(slate_of([[1, 2]]), make_batch(rows=1))
    assert regularizer.memory.average_N.sum() == 0


@pytest.mark.parametrize("kind", [ExposureGini, Coverage])
def test_the_memory_is_in_the_checkpoint(kind, catalogue, make_batch):
    first, again = kind(catalogue).double(), kind(catalogue).double()
    for items in ([[1, 2, 3]], [[4, 5, 6]]):
        first(slate_of(items), make_batch(rows=1))
    again.load_state_dict(first.state_dict())
    assert again.memory.average_N.sum() > 0
    assert torch.equal(*(side(slate_of([[1, 7, 8]]), make_batch(rows=1)) for side in (first, again)))


def test_gini_reports_the_memory_and_prices_what_is_shown_most(catalogue, make_batch):
    gini, batch = ExposureGini(catalogue).double(), make_batch(rows=1)
    for _ in range(3):
        gini(slate_of([[1, 2, 3]]), batch)
    slate = differentiable([[1, 4, 5]])
    value = gini(slate, batch)
    assert torch.allclose(value, gini_index(gini.memory.exposure()))
    (gradient,) = torch.autograd.grad(value, slate.weights_BM)
    assert gradient[0, 0] > gradient[0, 1:].max(), "showing the item that all have seen costs most"
    assert torch.allclose(gradient, gini_price(gini.memory.exposure())[slate.items_BM] / 3)


def test_price_is_the_derivative_of_the_gini_index_up_to_a_constant():
    exposure = torch.rand(SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (slope,) = torch.autograd.grad(gini_index(exposure), exposure)
    gap = slope * exposure.detach().sum() - gini_price(exposure.detach())
    assert torch.allclose(gap, gap[0].expand_as(gap)), "the constant moves no membership: they sum to k"
    assert gap[0].item() == pytest.approx(-gini_index(exposure).item())


def test_prices_of_equal_exposures_are_equal_and_all_prices_sum_to_zero():
    price = gini_price(torch.tensor([5.0, 1.0, 1.0, 0.0]))
    assert torch.equal(price, torch.tensor([3.0, 0.0, 0.0, -3.0]) / 4)
    assert gini_price(torch.zeros(7)).abs().sum() == 0


def test_coverage_is_what_the_shops_users_do_not_see(catalogue, make_batch):
    coverage = Coverage(catalogue, users=10).double()
    value = coverage(slate_of([[0, 1], [0, 2]]), make_batch(rows=2))
    expected = (57 + torch.tensor([-10.0, -5.0, -5.0]).double().exp().sum()) / SIZE
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    # as many users as items
    assert Coverage(catalogue).users == SIZE


def test_coverage_pays_for_items_that_nobody_sees(catalogue, make_batch):
    coverage = Coverage(catalogue, users=SIZE, rate=0.0).double()
    coverage(slate_of([[1, 2]] * 99), make_batch())
    slate = differentiable([[1, 3]] + [[1, 2]] * 98)
    (gradient,) = torch.autograd.grad(coverage(slate, make_batch()), slate.weights_BM)
    assert gradient[0, 1] < gradient[0, 0] < 0
    exposure = coverage.memory.exposure().requires_grad_()
    (slope,) = torch.autograd.grad(unseen_share(exposure, SIZE), exposure)
    assert torch.allclose(gradient, slope[slate.items_BM] / 99), "straight-through: the derivative of the value"


def test_the_gradient_does_not_shrink_with_the_memorys_rate(catalogue, make_batch):
    norms = []
    for rate in (0.0, 0.999):
        gini = ExposureGini(catalogue, rate=rate).double()
        slate = differentiable([[1, 2, 3], [1, 4, 5]])
        norms.append(torch.autograd.grad(gini(slate, make_batch(rows=2)), slate.weights_BM)[0].norm())
    assert norms[0] > 0
    assert torch.allclose(*norms)


def test_two_regularizers_have_a_memory_each(catalogue, make_batch):
    gini, coverage = ExposureGini(catalogue), Coverage(dataclasses.replace(catalogue))
    gini(slate_of([[1, 2]]), make_batch(rows=1))
    assert coverage.memory.average_N.sum() == 0
