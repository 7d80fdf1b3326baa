"""The formulas: golden values with their source, slow definitions, properties, gradients."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from divrec import measures as m


def _shares(rows: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    parts = torch.rand(rows, width, generator=generator, dtype=torch.float64) + 0.01
    return parts / parts.sum(-1, keepdim=True)


def _unit(*shape: int, seed: int = 0) -> Tensor:
    return normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)


seeds = st.integers(0, 10_000)


# --- overlap, Simpson, entropy --------------------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(1, 12), seeds)
@settings(deadline=None)
def test_overlap_is_the_founding_formula_to_the_letter(rows: int, width: int, seed: int) -> None:
    y_hat, y = _shares(rows, width, seed), _shares(rows, width, seed + 1)
    # founding document: R = 1 - [sum(y_hat + y) - 2 sum(y_hat y)] / sum(y_hat + y)
    letter = 1 - ((y_hat + y).sum(-1) - 2 * (y_hat * y).sum(-1)) / (y_hat + y).sum(-1)
    torch.testing.assert_close(m.overlap(y_hat, y), letter)
    torch.testing.assert_close(m.overlap(y_hat, y), m.overlap(y, y_hat))


@pytest.mark.parametrize(
    ("slate", "history", "expected"),  # Dice 1945: 2 |A and B| / (|A| + |B|)
    [([1, 1, 0, 0], [1, 1, 0, 0], 1.0), ([1, 1, 0, 0], [0, 0, 1, 1], 0.0), ([1, 1, 1, 0], [1, 0, 0, 0], 0.5)],
)
def test_overlap_of_sets_is_dice(slate: list[int], history: list[int], expected: float) -> None:
    assert float(m.overlap(torch.tensor([slate]).double(), torch.tensor([history]).double())) == expected


def test_overlap_of_nothing_is_undefined() -> None:
    assert m.overlap(torch.zeros(1, 3), torch.zeros(1, 3)).isnan().all()


@pytest.mark.parametrize(
    ("share", "simpson", "entropy"),  # by hand: sums of squares; -sum q log q in nats
    [
        ([1.0, 0.0, 0.0], 1.0, 0.0),
        ([0.5, 0.5, 0.0], 0.5, math.log(2)),
        ([0.25, 0.25, 0.5], 0.375, 1.5 * math.log(2)),
        ([1 / 3, 1 / 3, 1 / 3], 1 / 3, math.log(3)),
    ],
)
def test_simpson_and_entropy_by_hand(share: list[float], simpson: float, entropy: float) -> None:
    share_BC = torch.tensor([share], dtype=torch.float64)
    assert float(m.simpson(share_BC)) == pytest.approx(simpson)
    assert float(m.entropy(share_BC)) == pytest.approx(entropy)


@given(st.integers(1, 30), seeds)
@settings(deadline=None)
def test_simpson_and_entropy_stay_between_even_and_concentrated(width: int, seed: int) -> None:
    share_BC = _shares(3, width, seed)
    assert bool((m.simpson(share_BC) >= 1 / width - 1e-12).all())
    assert bool((m.simpson(share_BC) <= 1 + 1e-12).all())
    assert bool((m.entropy(share_BC) <= math.log(width) + 1e-12).all())
    assert bool((m.entropy(share_BC) >= -1e-12).all())


# --- beta-divergence ------------------------------------------------------------------------------------------------


@given(st.integers(1, 8), seeds)
@settings(deadline=None)
def test_beta_divergence_at_its_named_orders(width: int, seed: int) -> None:
    p, q = _shares(2, width, seed), 3 * _shares(2, width, seed + 1)
    # Cichocki & Amari 2010, table 1: orders 2, 1 and 0
    torch.testing.assert_close(m.beta_divergence(p, q, 2), ((p - q) ** 2).sum(-1) / 2)
    torch.testing.assert_close(m.beta_divergence(p, q, 1), (p * (p / q).log() - p + q).sum(-1))
    torch.testing.assert_close(m.beta_divergence(p, q, 0), (p / q - (p / q).log() - 1).sum(-1))


@pytest.mark.parametrize("order", [0.0, 1.0])
@pytest.mark.parametrize("side", [-1, 1])
def test_beta_divergence_is_continuous_in_its_order(order: float, side: int) -> None:
    p, q = _shares(4, 6, 0), _shares(4, 6, 1)
    at = m.beta_divergence(p, q, order)
    gaps = [float((m.beta_divergence(p, q, order + side * step) - at).abs().max()) for step in (1e-2, 1e-3, 1e-4)]
    assert gaps[0] > gaps[1] > gaps[2] > 0
    assert gaps[2] < 1e-3 * float(at.max())


@given(st.sampled_from([-1, 0, 0.5, 1, 1.5, 2, 3]), seeds)
@settings(deadline=None)
def test_beta_divergence_is_a_divergence(order: float, seed: int) -> None:
    p, q = _shares(3, 5, seed), _shares(3, 5, seed + 1)
    torch.testing.assert_close(m.beta_divergence(p, p, order), torch.zeros(3, dtype=torch.float64))
    assert bool((m.beta_divergence(p, q, order) > 0).all())
    # homogeneous of degree `order` (Basu et al. 1998)
    torch.testing.assert_close(m.beta_divergence(2 * p, 2 * q, order), 2**order * m.beta_divergence(p, q, order))


@pytest.mark.parametrize(
    ("p", "q", "order", "expected"),
    [
        ([0.0, 1.0], [0.0, 1.0], 0, 0.0),
        ([0.0, 1.0], [0.0, 1.0], 0.5, 0.0),
        ([0.0, 1.0], [0.0, 1.0], 1, 0.0),
        ([0.0, 1.0], [0.5, 0.5], 1, math.log(2)),
        ([0.5, 0.5], [0.0, 1.0], 1, math.inf),
        ([0.5, 0.5], [0.0, 1.0], 0.5, math.inf),
        ([0.0, 1.0], [0.5, 0.5], 0, math.inf),
        ([0.5, 0.5], [0.0, 1.0], 2, 0.25),
    ],
)
def test_beta_divergence_with_empty_categories(p: list[float], q: list[float], order: float, expected: float) -> None:
    value = m.beta_divergence(torch.tensor([p]).double(), torch.tensor([q]).double(), order)
    assert float(value) == pytest.approx(expected)


# --- distances in a list --------------------------------------------------------------------------------------------


@given(st.integers(2, 9), st.integers(1, 6), seeds)
@settings(deadline=None)
def test_intra_list_similarity_equals_the_sum_over_pairs(size: int, width: int, seed: int) -> None:
    items_ND = _unit(size, width, seed=seed)
    slate_BN = torch.rand(3, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for row, value in zip(slate_BN, m.intra_list_similarity(slate_BN, items_ND), strict=True):
        pairs = list(itertools.permutations(range(size), 2))
        alike = [float((1 + items_ND[i] @ items_ND[j]) / 2) for i, j in pairs]
        weight = [float(row[i] * row[j]) for i, j in pairs]
        slow = sum(w * s for w, s in zip(weight, alike, strict=True)) / sum(weight)
        assert float(value) == pytest.approx(slow, abs=1e-9)


def test_distances_by_hand() -> None:
    # cosines of the three pairs: 0, .6, .8
    items_ND = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=torch.float64)
    everything = torch.ones(1, 3, dtype=torch.float64)
    assert float(m.average_distance(everything, items_ND)) == pytest.approx((1 + 0.4 + 0.2) / 3)
    assert float(m.minimum_distance(items_ND.unsqueeze(0), everything.bool())) == pytest.approx(0.2)
    assert float(m.minimum_distance(items_ND.unsqueeze(0), torch.tensor([[True, False, True]]))) == pytest.approx(0.4)


def test_items_a_row_equal_shared_items() -> None:
    items_ND, slate_BN = _unit(6, 4), torch.eye(6, dtype=torch.float64)[:2] + 0.5
    torch.testing.assert_close(
        m.intra_list_similarity(slate_BN, items_ND.expand(2, 6, 4)), m.intra_list_similarity(slate_BN, items_ND)
    )


@given(st.integers(2, 8), seeds)
@settings(deadline=None)
def test_the_minimum_distance_is_the_least_pair(size: int, seed: int) -> None:
    vectors_BKD = _unit(2, size, 3, seed=seed)
    slow = [min(1 - float(a @ b) for a, b in itertools.combinations(row, 2)) for row in vectors_BKD]
    valid_BK = torch.ones(2, size, dtype=torch.bool)
    assert m.minimum_distance(vectors_BKD, valid_BK).tolist() == pytest.approx(slow, abs=1e-9)
    average = m.average_distance(valid_BK.double(), vectors_BKD)
    assert bool((m.minimum_distance(vectors_BKD, valid_BK) <= average + 1e-9).all())


@pytest.mark.parametrize("listed", [0, 1])
@pytest.mark.parametrize("width", [3, 64, 385])
def test_a_list_of_fewer_than_two_items_has_no_distance(listed: int, width: int) -> None:
    valid_BK = (torch.arange(4) < listed).expand(5, 4)
    vectors_BKD = _unit(5, 4, width).float()
    assert m.minimum_distance(vectors_BKD, valid_BK).isnan().all()
    assert m.average_distance(valid_BK.float(), vectors_BKD).isnan().all()


# --- the catalogue --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_gini_of_even_and_of_one(size: int) -> None:
    even, one = torch.full((size,), 3.0, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    one[size // 2] = 5
    assert float(m.gini_index(even)) == pytest.approx(0, abs=1e-12)
    assert float(m.gini_index(one)) == pytest.approx(1 - 1 / size)


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30))
@settings(deadline=None)
def test_gini_is_half_the_relative_mean_difference(counts: list[int]) -> None:
    assume(sum(counts) > 0)
    # Gini 1912: sum_ij |e_i - e_j| / (2 N^2 mean)
    slow = sum(abs(a - b) for a in counts for b in counts) / (2 * len(counts) * sum(counts))
    exposure_N = torch.tensor(counts, dtype=torch.float64)
    assert float(m.gini_index(exposure_N)) == pytest.approx(slow)
    assert float(m.gini_index(7 * exposure_N)) == pytest.approx(slow)
    assert float(m.coverage(exposure_N)) == pytest.approx(sum(c > 0 for c in counts) / len(counts))


def test_gini_of_nothing_is_undefined() -> None:
    assert m.gini_index(torch.zeros(4)).isnan()


def test_popularity_weight_by_hand() -> None:
    # n = 4, N = 4: information 3, 3, 2, 1 bits of at most 3
    weights_N = m.popularity_weight(torch.tensor([0, 0, 1, 3]))
    assert weights_N.tolist() == pytest.approx([0, 0, 1 / 3, 2 / 3])


# --- category shares ------------------------------------------------------------------------------------------------


def test_category_share_by_hand() -> None:
    # item 0 is in categories 0 and 2, item 1 in category 1; weights 1 and 3
    share_BC = m.category_share(
        torch.tensor([[1.0, 3.0]]), torch.tensor([[[0, 2], [1, 0]]]), torch.tensor([[[0.5, 0.5], [1.0, 0.0]]]), 4
    )
    assert share_BC.tolist() == [[0.125, 0.75, 0.125, 0.0]]


@given(st.integers(1, 6), st.integers(1, 5), seeds)
@settings(deadline=None)
def test_category_share_equals_the_matrix_product(items: int, categories: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights_BM = torch.rand(2, items, generator=generator, dtype=torch.float64) + 0.1
    indices = torch.randint(0, categories, (2, items, 3), generator=generator)
    parts = _shares(2 * items, 3, seed).reshape(2, items, 3)
    matrix = torch.zeros(2, items, categories, dtype=torch.float64).scatter_add(2, indices, parts)
    slow = (weights_BM.unsqueeze(1) @ matrix).squeeze(1) / weights_BM.sum(-1, keepdim=True)
    torch.testing.assert_close(m.category_share(weights_BM, indices, parts, categories), slow)


def test_an_empty_list_counts_as_uniform() -> None:
    share_BC = m.category_share(torch.zeros(1, 2), torch.zeros(1, 2, 1, dtype=torch.int64), torch.ones(1, 2, 1), 5)
    assert share_BC[0].tolist() == pytest.approx([0.2] * 5)


# --- gradients ------------------------------------------------------------------------------------------------------


def test_gradients_of_what_is_trained() -> None:
    p, q = _shares(2, 5, 0).requires_grad_(), _shares(2, 5, 1).requires_grad_()
    items_ND = _unit(5, 3).requires_grad_()
    categories, parts = torch.tensor([[[0], [1], [0], [2], [2]]] * 2), torch.ones(2, 5, 1, dtype=torch.float64)
    check = torch.autograd.gradcheck
    assert check(m.overlap, (p, q))
    assert check(m.simpson, (p,))
    assert check(m.entropy, (p,))
    for order in (0, 0.5, 1, 1.5, 2):
        assert check(lambda a, b, o=order: m.beta_divergence(a, b, o), (p, q))
    assert check(m.intra_list_similarity, (p, items_ND))
    assert check(m.average_distance, (p, items_ND))
    assert check(m.gini_index, (p[0],))
    assert check(lambda a: m.category_share(a, categories, parts, 3), (p,))


@pytest.mark.parametrize("name", ["overlap", "simpson", "entropy", "intra_list_similarity", "gini_index"])
def test_gradients_are_finite_and_not_zero(name: str) -> None:
    p = _shares(2, 5, 0).requires_grad_()
    second = {"overlap": (_shares(2, 5, 1),), "intra_list_similarity": (_unit(5, 3),)}.get(name, ())
    getattr(m, name)(p, *second).sum().backward()
    assert p.grad is not None
    assert p.grad.isfinite().all()
    assert p.grad.abs().max() > 0


# --- entropy of soft lists ------------------------------------------------------------------------------------------


def _soft_list(seed: int, listed: int = 8, categories: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Two categories an item, of which the second may be a filler of weight 0."""
    generator = torch.Generator().manual_seed(seed)
    categories_BMJ = torch.stack(
        [torch.randperm(categories, generator=generator)[:2] for _ in range(listed)]
    ).unsqueeze(0)
    first = torch.randint(1, 3, (1, listed), generator=generator).double() / 2
    return categories_BMJ, torch.stack([first, 1 - first], dim=-1)


@pytest.mark.parametrize("seed", range(10))
def test_entropy_of_places_is_that_of_the_shares_of_a_delivered_list(seed: int) -> None:
    categories_BMJ, belongs_BMJ = _soft_list(seed)
    delivered = (torch.arange(8) < 5).double().unsqueeze(0)
    share = m.category_share(delivered, categories_BMJ, belongs_BMJ, 4)
    assert torch.allclose(m.entropy_of_places(delivered, categories_BMJ, belongs_BMJ, 4), m.entropy(share))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_entropy_of_places_does_not_rise_where_items_that_all_differ_soften(seed: int) -> None:
    soft = torch.rand(1, 9, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 1e-6
    soft = soft * min(4 / float(soft.sum()), 1 / float(soft.max()))
    places, whole = torch.arange(9).view(1, 9, 1), torch.ones(1, 9, 1, dtype=torch.float64)
    expected = torch.log(soft.sum().clamp(min=1)) * soft.sum() / soft.sum().clamp(min=1)
    assert torch.allclose(m.entropy_of_places(soft, places, whole, 9), expected)


def test_entropy_of_an_empty_soft_list_is_zero() -> None:
    nothing = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    value = m.entropy_of_places(nothing, torch.zeros(1, 3, 1, dtype=torch.long), torch.ones(1, 3, 1), 2)
    (gradient,) = torch.autograd.grad(value.sum(), nothing)
    assert value.item() == 0
    assert bool(torch.isfinite(gradient).all())


def test_popularity_of_lists_by_hand() -> None:
    valid_BK = torch.tensor([[True, True, True], [True, False, False], [False, False, False]])
    counts_BK = torch.tensor([[1, 2, 6], [4, 9, 9], [9, 9, 9]])
    assert m.average_popularity(counts_BK, valid_BK).tolist() == pytest.approx([3, 4, math.nan], nan_ok=True)
    weights_BK = torch.tensor([[0.0, 0.3, 0.6], [0.5, 1, 1], [1, 1, 1]], dtype=torch.float64)
    assert m.popularity_bias(weights_BK, valid_BK).tolist() == pytest.approx([0.3, 0.5, math.nan], nan_ok=True)
    classes_BK = torch.tensor([[m.HEAD, m.TAIL, m.NEW], [m.MID, m.TAIL, m.TAIL], [m.NEW, m.NEW, m.NEW]])
    assert m.long_tail_share(classes_BK, valid_BK).tolist() == pytest.approx([2 / 3, 0, math.nan], nan_ok=True)
