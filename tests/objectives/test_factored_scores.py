from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from divrec.errors import ConfigError
from divrec.objectives import CrossEntropy, FactoredScores

ITEMS, DIM = 60, 5


def vectors(queries, items=ITEMS, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = ((queries, DIM), (items, DIM))
    return [torch.randn(size, dtype=dtype, generator=generator).requires_grad_() for size in sizes]


def spared_items(batch):
    """Half of what nobody is asked about."""
    spared = torch.arange(ITEMS) % 2 == 0
    spared[batch.target_items_P] = False
    return spared


def multiplied_out(scores):
    """The table of scores that is never made."""
    table = scores.users_QD @ scores.items_ND.T
    if scores.seen_QS is not None:
        is_seen = torch.nn.functional.one_hot(scores.seen_QS, table.shape[1] + 1)[..., :-1].any(1)
        table = table.masked_fill(is_seen, -torch.inf)
    return table if scores.spared_N is None else table.masked_fill(scores.spared_N, -torch.inf)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("chunk", [1, 7, 20, ITEMS, 1000])
@pytest.mark.parametrize("masked", ["nothing", "seen", "spared", "both"])
def test_loss_and_gradients_are_those_of_the_whole_table(masked, chunk, dtype, make_batch):
    batch = replace(make_batch(dtype=dtype), target_values_P=torch.linspace(0.1, 1, 16, dtype=dtype))
    users, items = vectors(8, dtype=dtype)
    seen = batch.seen_QS.clone() if masked in ("seen", "both") else None
    if seen is not None:
        seen[::2, -2:] = ITEMS  # padding
    scores = FactoredScores(users, items, seen, spared_items(batch) if masked in ("spared", "both") else None)
    expected, found = CrossEntropy()(multiplied_out(scores), batch), CrossEntropy(chunk)(scores, batch)
    assert found.dtype == dtype
    tolerance = {"atol": 1e-12, "rtol": 1e-12} if dtype == torch.float64 else {"atol": 1e-6, "rtol": 1e-5}
    torch.testing.assert_close(found, expected, **tolerance)
    for one, other in zip(*(torch.autograd.grad(loss, (users, items)) for loss in (found, expected)), strict=True):
        assert other.abs().max() > 1e-3
        torch.testing.assert_close(one, other, **tolerance)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.integers(2, 30), st.integers(1, 40), st.integers(0, 10_000), st.floats(0, 30))
def test_each_target_costs_what_it_costs_in_the_table(queries, items, chunk, seed, size):
    generator = torch.Generator().manual_seed(seed)
    users, table = vectors(queries, items, seed=seed)
    with torch.no_grad():
        users *= size
    targets = torch.randint(items, (queries,), generator=generator)
    seen = torch.randint(items, (queries, 4), generator=generator)
    seen = seen.where(seen != targets.unsqueeze(-1), items)
    scores = FactoredScores(users, table, seen)
    open_scores = multiplied_out(scores)
    expected = open_scores.logsumexp(-1) - open_scores[torch.arange(queries), targets]
    found = scores.surprise(torch.arange(queries), targets, chunk)
    assert torch.allclose(found, expected, atol=1e-9)
    price = torch.randn(queries, dtype=torch.float64, generator=generator)
    gradients = [torch.autograd.grad(each @ price, (users, table)) for each in (found, expected)]
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-9)


def test_the_gradient_is_that_of_finite_differences(make_batch):
    batch = make_batch(rows=2, dtype=torch.float64)
    users, items = vectors(2)
    assert torch.autograd.gradcheck(
        lambda u, i: CrossEntropy(13)(FactoredScores(u, i, batch.seen_QS), batch), (users, items)
    )


class LargestTensor(TorchDispatchMode):
    """Watches how many numbers the largest tensor has that any operator returns."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        returned = func(*args, **(kwargs or {}))
        for each in returned if isinstance(returned, tuple | list) else (returned,):
            if isinstance(each, torch.Tensor):
                self.numbers = max(self.numbers, each.numel())
        return returned


@pytest.mark.parametrize(("chunk", "numbers"), [(2, 0), (11, 11 * 40), (20, 20 * 40), (None, ITEMS * 40)])
def test_no_more_scores_are_held_than_those_of_a_chunk(chunk, numbers, make_batch):
    batch = make_batch(rows=40)
    users, items = (vector.detach()[:, :1].requires_grad_() for vector in vectors(40))
    with LargestTensor() as largest:
        CrossEntropy(chunk)(FactoredScores(users, items, batch.seen_QS), batch).backward()
    of_seen_pairs = 2 * batch.seen_QS.numel()  # query and item
    assert largest.numbers == max(numbers, of_seen_pairs)


def test_a_masked_target_costs_infinity_and_pulls_nothing(make_batch):
    """As in the table: an impossible target is seen in the loss."""
    batch = make_batch()
    seen = batch.seen_QS.clone()
    seen[0, 0] = batch.target_items_P[0]
    users, items = vectors(8)
    scores = FactoredScores(users, items, seen)
    expected, found = CrossEntropy()(multiplied_out(scores), batch), CrossEntropy(7)(scores, batch)
    assert torch.isinf(expected)
    assert torch.equal(found, expected.to(found))
    for one, other in zip(*(torch.autograd.grad(loss, (users, items)) for loss in (found, expected)), strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def test_a_query_without_targets_to_which_everything_is_masked_pulls_nothing(make_batch):
    """As in the table."""
    batch = make_batch()
    others = batch.target_queries_P > 0
    batch = replace(
        batch,
        target_queries_P=batch.target_queries_P[others],
        target_items_P=batch.target_items_P[others],
        target_values_P=batch.target_values_P[others],
    )
    users, items = vectors(8)
    seen = torch.full((8, ITEMS), ITEMS)
    seen[0] = torch.arange(ITEMS)
    scores = FactoredScores(users, items, seen)
    losses = CrossEntropy()(multiplied_out(scores), batch), CrossEntropy(7)(scores, batch)
    for one, other in zip(*(torch.autograd.grad(loss, (users, items)) for loss in losses), strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def test_a_chunk_that_is_masked_as_a_whole_and_huge_scores_stay_finite(make_batch):
    users, items = vectors(8, dtype=torch.float32)
    batch = make_batch()
    batch = replace(batch, target_items_P=batch.target_items_P % 40 + 20)
    loss = CrossEntropy(10)(FactoredScores(1e3 * users, items, torch.arange(20).expand(8, 20)), batch)
    gradients = torch.autograd.grad(loss, (users, items))
    assert torch.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert gradients[1][:20].abs().max() == 0
    assert gradients[1][20:].abs().max() > 0


@pytest.mark.parametrize("still", [0, 1])
def test_vectors_that_are_not_trained_get_no_gradient(still, make_batch):
    both = vectors(8)
    both[still].requires_grad_(False)
    CrossEntropy(7)(FactoredScores(*both), make_batch(dtype=torch.float64)).backward()
    assert both[still].grad is None
    assert both[1 - still].grad.abs().max() > 0


def test_mixed_precision_multiplies_in_half_and_sums_in_single(make_batch):
    batch, (users, items) = make_batch(), vectors(8, dtype=torch.float32)
    scores = FactoredScores(users, items, batch.seen_QS)
    exact = torch.autograd.grad(CrossEntropy(7)(scores, batch), (users, items))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert scores.number_format == torch.bfloat16
        loss = CrossEntropy(7)(scores, batch)
    assert loss.dtype == torch.float32
    table = multiplied_out(FactoredScores(users.bfloat16(), items.bfloat16(), batch.seen_QS)).float()
    assert torch.allclose(loss, CrossEntropy()(table, batch), atol=1e-5)
    half = torch.autograd.grad(loss, (users, items))  # outside of autocast, as Lightning's backward pass is
    for one, other in zip(half, exact, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).abs().max() < 0.02 * other.abs().max()
        assert not torch.equal(one, other)


@pytest.mark.parametrize("chunk", [0, -3, 1.5, True, float("nan"), "all"])
def test_senseless_chunks_are_refused(chunk):
    with pytest.raises(ConfigError, match=r"task\.chunk"):
        CrossEntropy(chunk)
