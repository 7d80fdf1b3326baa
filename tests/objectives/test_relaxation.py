from functools import partial
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from divrec.errors import ConfigError
from divrec.objectives import Midpoint, Softmax, SoftTopK, relaxation

K = 10


def scores(rows=4, items=300, seed=0, dtype=torch.float64):
    return torch.randn(rows, items, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float64, 1e-8)])
@pytest.mark.parametrize("scale", [0.01, 0.3, 7.0, 100.0])
@pytest.mark.parametrize("shift", [-5.0, 0.0, 5.0])
def test_soft_topk_ignores_scale_and_shift_of_the_scores(dtype, tolerance, scale, shift):
    relaxation, plain = SoftTopK(K), scores(dtype=dtype)
    expected, got = relaxation(plain).weights_BM, relaxation(scale * plain + shift).weights_BM
    assert torch.allclose(got, expected, atol=tolerance, rtol=0)


def test_softmax_does_not_ignore_scale():
    assert not torch.allclose(Softmax(K)(scores()).weights_BM, Softmax(K)(0.01 * scores()).weights_BM, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 30), width=st.floats(0.01, 2))
def test_memberships_lie_in_the_unit_interval_and_sum_to_k(seed, k, width):
    slate = SoftTopK(k, width, top=100)(scores(seed=seed))
    assert torch.allclose(slate.weights_BM.sum(-1), torch.tensor(float(k), dtype=torch.float64), atol=1e-6)
    assert ((slate.weights_BM >= 0) & (slate.weights_BM <= 1)).all()


def test_gradient_along_the_scores_own_direction_is_zero():
    free = scores().requires_grad_()
    weights = SoftTopK(K)(free).weights_BM
    pull = torch.randn(weights.shape, generator=torch.Generator().manual_seed(3), dtype=weights.dtype)
    (gradient,) = torch.autograd.grad((weights * pull).sum(), free)
    assert gradient.abs().max() > 1e-3, "the guard: there is a gradient at all"
    assert (gradient * free).sum(-1).abs().max() < 1e-8
    assert gradient.sum(-1).abs().max() < 1e-8


def test_a_detached_spread_would_leave_a_gradient_along_the_scores():
    """The guard of the test above: the gradient of the standard deviation is what cancels it."""
    free = scores().requires_grad_()
    pull = torch.randn(4, 100, generator=torch.Generator().manual_seed(3), dtype=free.dtype)
    with mock.patch.object(relaxation, "_spread", lambda *given, spread=relaxation._spread: spread(*given).detach()):
        weights = SoftTopK(K)(free).weights_BM
    (gradient,) = torch.autograd.grad((weights * pull).sum(), free)
    assert (gradient * free).sum(-1).abs().max() > 1e-3


def test_the_width_is_in_standard_deviations_of_the_unmasked_scores():
    plain = scores(1, 40)
    plain[0, 30:] = -torch.inf
    slate = SoftTopK(3, width=0.4, top=40)(plain)
    logits = torch.logit(slate.weights_BM[0, :2])
    gap = (plain[0].sort(descending=True).values[:2]).diff().abs().item()
    assert (logits[0] - logits[1]).item() == pytest.approx(gap / (0.4 * plain[0, :30].numpy().std()), rel=1e-6)


@pytest.mark.parametrize("kind", [SoftTopK, Midpoint, Softmax])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_scores_are_relaxed_in_single_precision(kind, dtype):
    rough = scores(dtype=torch.float32).to(dtype)
    slate = kind(K)(rough)
    assert slate.weights_BM.dtype == torch.float32
    assert torch.equal(slate.weights_BM, kind(K)(rough.float()).weights_BM)


def test_membership_becomes_the_hard_top_k_as_the_width_vanishes():
    plain = scores()
    weights = SoftTopK(K, width=1e-4)(plain).weights_BM
    hard = torch.zeros_like(weights)
    hard[:, :K] = 1
    assert torch.allclose(weights, hard, atol=1e-3)


def test_candidates_beyond_the_top_hundred_change_nothing():
    narrow, wide = SoftTopK(K, 0.1, top=100)(scores()), SoftTopK(K, 0.1, top=300)(scores())
    assert torch.allclose(narrow.weights_BM, wide.weights_BM[:, :100], atol=1e-4)


@pytest.mark.parametrize("kind", [partial(SoftTopK, width=0.3, top=20), partial(Midpoint, width=0.3, top=20), Softmax])
@pytest.mark.parametrize("masked", [False, True])
def test_gradcheck(kind, masked):
    free = scores(2, 30)
    if masked:
        free[:, ::4] = -torch.inf
    finite = torch.isfinite(free)

    def weights(given):
        return kind(3)(torch.full_like(free, -torch.inf).masked_scatter(finite, given)).weights_BM

    assert torch.autograd.gradcheck(weights, (free[finite].requires_grad_(),))


def test_masked_items_never_enter():
    plain = scores()
    best = plain.argmax(-1)
    masked = plain.scatter(1, best.unsqueeze(-1), -torch.inf)
    slate = SoftTopK(K)(masked)
    assert not (slate.items_BM == best.unsqueeze(-1)).any()
    without = torch.stack([row[row != -torch.inf] for row in masked])
    assert torch.allclose(slate.weights_BM, SoftTopK(K)(without).weights_BM)


def test_fewer_candidates_than_places_are_all_in():
    free = scores(2, 20)
    free[:, 4:] = -torch.inf
    free.requires_grad_()
    slate = SoftTopK(K)(free)
    assert torch.allclose(slate.weights_BM.sum(-1), torch.tensor(4.0, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(slate.weights_BM.sum(), free)
    assert torch.isfinite(gradient).all()


def test_a_constant_row_shares_the_places_evenly():
    slate = SoftTopK(K)(torch.zeros(1, 50))
    assert torch.allclose(slate.weights_BM, torch.full((1, 50), K / 50), atol=1e-4)


def test_midpoint_ignores_scale_and_shift_but_can_exceed_one():
    relaxation, plain = Midpoint(K, width=0.5), scores()
    expected, got = relaxation(plain).weights_BM, relaxation(0.01 * plain - 5).weights_BM
    assert torch.allclose(got, expected, atol=1e-8, rtol=0)
    # One item far above the threshold, ten upon it: 1 + 10 / 2 memberships are rescaled to ten.
    toss_up = torch.tensor([[3.0] + 10 * [1.0] + 40 * [-3.0]], dtype=torch.float64)
    assert Midpoint(K)(toss_up).weights_BM.max().item() == pytest.approx(10 / 6, rel=1e-3)
    assert SoftTopK(K)(toss_up).weights_BM.max() <= 1


def test_midpoint_sums_to_k_too():
    slate = Midpoint(K)(scores())
    assert torch.allclose(slate.weights_BM.sum(-1), torch.tensor(float(K), dtype=torch.float64))


@pytest.mark.parametrize(
    ("build", "key"),
    [
        (lambda: SoftTopK(0), "k"),
        (lambda: SoftTopK(10, width=0), "relaxation.width"),
        (lambda: SoftTopK(10, top=10), "relaxation.top"),
        (lambda: Softmax(10, temperature=-1), "relaxation.temperature"),
    ],
)
def test_impossible_settings_are_refused(build, key):
    with pytest.raises(ConfigError, match=key):
        build()


@pytest.mark.parametrize("relax", [SoftTopK(3, top=10), Midpoint(3, top=10)])
@pytest.mark.parametrize("rankable", [1, 2, 3])
def test_with_no_more_candidates_than_places_all_are_in(relax, rankable):
    masked = torch.tensor([[5.0, 4.0, -3.0] + 9 * [-torch.inf]]).double()
    masked[:, rankable:] = -torch.inf
    weights_M = relax(masked).weights_BM[0]
    assert torch.allclose(weights_M[:rankable], torch.ones(rankable).double(), atol=1e-6)
    assert weights_M[rankable:].abs().max() == 0
