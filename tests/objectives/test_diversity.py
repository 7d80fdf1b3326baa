import dataclasses
import math
from functools import partial

import pytest
import torch

from divrec.batch import SoftSlate
from divrec.errors import ConfigError
from divrec.objectives import (
    BetaDivergence,
    Calibration,
    Coverage,
    Entropy,
    ExposureGini,
    GiniOverlap,
    IntraListSimilarity,
    LogDeterminant,
    MaxSimilarity,
    NearestSimilarity,
    Popularity,
    Simpson,
)


def slate_of(items, weights=None, k=None):
    items = torch.as_tensor(items)
    weights = (
        torch.ones(items.shape, dtype=torch.float64)
        if weights is None
        else torch.as_tensor(weights, dtype=torch.float64)
    )
    return SoftSlate(items, weights, torch.ones_like(items, dtype=torch.bool), k or items.shape[1])


SAME = [[6, 12, 18]]  # all in category 0 (items 0, 10, 20, ... belong to two)
SPREAD = [[6, 7, 8]]  # three categories


def test_simpson_is_one_in_one_category_and_zero_when_spread(catalogue, make_batch):
    batch, simpson = make_batch(), Simpson(catalogue)
    assert simpson(slate_of(SAME), batch).item() == pytest.approx(1)
    assert simpson(slate_of(SPREAD), batch).item() == pytest.approx(0, abs=1e-12)


def test_softening_never_lowers_simpson_of_fixed_items(catalogue, make_batch):
    hard = Simpson(catalogue)(slate_of(SAME), make_batch())
    soft = Simpson(catalogue)(slate_of(SAME, [[1.0, 0.7, 0.3]]), make_batch())
    assert soft >= hard - 1e-12


def test_gini_overlap_of_a_slate_like_the_history_is_larger(catalogue, make_batch):
    batch, overlap = make_batch(), GiniOverlap(catalogue)
    like = SoftSlate(
        batch.items_BL, torch.ones_like(batch.history_QS), torch.ones_like(batch.items_BL, dtype=torch.bool), 5
    )
    history = overlap.history_share(like, batch)
    rarest = history.argmin(-1, keepdim=True)
    unlike = SoftSlate(rarest + 6, torch.ones(8, 1), torch.ones(8, 1, dtype=torch.bool), 1)
    assert overlap(like, batch) > overlap(unlike, batch)


def test_gini_overlap_item_by_item_is_the_founding_documents_letter(catalogue, make_batch):
    batch = make_batch()
    dice = GiniOverlap(catalogue, space="item", exclude_seen=False)
    half = SoftSlate(
        batch.items_BL, torch.full_like(batch.history_QS, 0.5), torch.ones_like(batch.items_BL, dtype=torch.bool), 5
    )
    # y_hat = .5 and y = 1 on the same five items: 2 * 5 * .5 / (5 * 1.5)
    assert dice(half, batch).item() == pytest.approx(2 / 3, rel=1e-6)


def test_gini_overlap_by_item_is_refused_where_it_has_no_gradient(catalogue):
    with pytest.raises(ConfigError, match="no gradient"):
        GiniOverlap(catalogue, space="item", exclude_seen=True)


@pytest.mark.parametrize("order", [0, 0.5, 1, 2])
def test_beta_divergence_is_zero_at_the_reference_and_at_most_one(catalogue, make_batch, order):
    batch = make_batch()
    toward = BetaDivergence(catalogue, order=order)
    as_history = SoftSlate(
        batch.items_BL, torch.ones_like(batch.history_QS), torch.ones_like(batch.items_BL, dtype=torch.bool), 5
    )
    assert toward(as_history, batch).item() == pytest.approx(0, abs=1e-6)
    far = SoftSlate(torch.full((8, 1), 6), torch.ones(8, 1), torch.ones(8, 1, dtype=torch.bool), 1)
    assert 0 < toward(far, batch).item() <= 1 + 1e-6


def test_beta_divergence_attains_its_stated_maximum(catalogue, make_batch):
    toward = BetaDivergence(catalogue, reference="uniform")
    one_category = slate_of([[6, 12]])
    assert toward(one_category, make_batch(rows=1)).item() == pytest.approx(1, abs=1e-6)
    assert BetaDivergence(catalogue, reference="uniform", direction="away")(
        one_category, make_batch(rows=1)
    ).item() == pytest.approx(0, abs=1e-6)


def with_vectors(catalogue, *vectors):
    """The catalogue whose first items have these vectors."""
    vectors_ND = catalogue.vectors_ND.clone().double()
    vectors_ND[: len(vectors)] = torch.tensor(vectors, dtype=torch.float64)
    return dataclasses.replace(catalogue, vectors_ND=vectors_ND)


RIGHT, LEFT, UP = [1.0] + 11 * [0.0], [-1.0] + 11 * [0.0], [0.0, 1.0] + 10 * [0.0]


def test_entropy_is_one_in_one_category_and_zero_when_even(catalogue, make_batch):
    batch, entropy = make_batch(), Entropy(catalogue)
    assert entropy(slate_of(SAME), batch).item() == pytest.approx(1)
    assert entropy(slate_of(SPREAD), batch).item() == pytest.approx(0, abs=1e-12)
    # two of four places in one category: H = 1.5 log 2, the most is log 4 = 2 log 2
    assert entropy(slate_of([[6, 12, 7, 8]]), batch).item() == pytest.approx(0.25)
    # more places than categories: the most is log 6
    wide = slate_of([[6, 7, 8, 9, 11, 11 + 5, 12, 13, 14]])
    assert 0 < entropy(wide, batch).item() < 0.1


@pytest.mark.parametrize("prefix", [False, True])
def test_simpson_counts_pairs(prefix, catalogue, make_batch):
    simpson = Simpson(catalogue, prefix=prefix)
    # three items, one pair of three in one category
    assert simpson(slate_of([[6, 12, 7]]), make_batch()).item() == pytest.approx(1 / 3)
    # item 10 lies half in category 4 and half in 5, item 16 in 4, item 11 in 5: pairs .5, .5, 0 of 3
    assert simpson(slate_of([[10, 16, 11]]), make_batch()).item() == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    "kind",
    [
        IntraListSimilarity,
        MaxSimilarity,
        NearestSimilarity,
        partial(IntraListSimilarity, prefix=True),
        partial(NearestSimilarity, prefix=True),
    ],
)
def test_similarities_of_one_pair_are_the_pairs(kind, catalogue, make_batch):
    penalty = kind(with_vectors(catalogue, RIGHT, LEFT, UP, RIGHT))
    for pair, expected in (([0, 3], 1.0), ([0, 2], 0.5), ([0, 1], 0.0)):
        assert penalty(slate_of([pair]), make_batch()).item() == pytest.approx(expected, abs=1e-9)


def test_max_similarity_lies_between_mean_and_maximum(catalogue, make_batch):
    catalogue, slate = with_vectors(catalogue, RIGHT, LEFT, UP, RIGHT), slate_of([[0, 1, 2, 3]])
    mean = IntraListSimilarity(catalogue)(slate, make_batch()).item()
    blunt, middle, sharp = (
        MaxSimilarity(catalogue, sharpness=sharpness)(slate, make_batch()).item() for sharpness in (1e-3, 20, 80)
    )
    assert blunt == pytest.approx(mean, abs=1e-3)
    assert mean < middle < sharp
    assert sharp == pytest.approx(1 - math.log(6) / 80)
    # pairs: 0, 1/2, 1, 1/2, 0, 1/2 (S of opposite, upright and equal vectors)
    expected = math.log((2 + 3 * math.exp(10) + math.exp(20)) / 6) / 20
    assert middle == pytest.approx(expected)


def test_nearest_above_is_the_redundancy_of_mmr(catalogue, make_batch):
    catalogue = with_vectors(catalogue, RIGHT, UP, LEFT, RIGHT)
    above = NearestSimilarity(catalogue, sharpness=80, prefix=True)
    # items 1, 2, 3 at their nearest above: .5, .5, 1
    assert above(slate_of([[0, 1, 2, 3]]), make_batch()).item() == pytest.approx(2 / 3, abs=0.02)
    among_all = NearestSimilarity(catalogue, sharpness=80)
    assert among_all(slate_of([[0, 1, 2, 3]]), make_batch()).item() == pytest.approx(3 / 4, abs=0.02)


def test_dpp_of_a_pair_is_its_determinant(catalogue, make_batch):
    dpp = LogDeterminant(with_vectors(catalogue, RIGHT, LEFT, UP, RIGHT))
    for pair, determinant in (([0, 1], 4.0), ([0, 2], 4 - 0.25), ([0, 3], 3.0)):
        expected = 1 - math.log(determinant) / (2 * math.log(2))
        assert dpp(slate_of([pair]), make_batch()).item() == pytest.approx(expected)


def test_dpp_looks_at_the_best_candidates_only(catalogue, make_batch):
    slate = slate_of([[1, 2, 3, 4]], [[1.0, 0.9, 0.08, 0.02]], k=2)
    few = LogDeterminant(catalogue, top=2)(slate, make_batch())
    assert few.item() == pytest.approx(
        LogDeterminant(catalogue)(slate_of([[1, 2]], [[1.0, 0.9]], k=2), make_batch()).item()
    )


def test_popularity_prices_the_long_tail_at_nothing(catalogue, make_batch):
    counts = torch.zeros(60, dtype=torch.long)
    counts[0], counts[1] = 1000, 30
    popularity = Popularity(dataclasses.replace(catalogue, counts_N=counts))
    assert popularity(slate_of([[2, 3]]), make_batch()).item() == pytest.approx(0)
    # I = -log2((n + 1) / (sum n + N)) over that of n = 0
    expected = 1 - math.log(1001 / 1090) / math.log(1 / 1090)
    assert popularity(slate_of([[0, 3]]), make_batch()).item() == pytest.approx(expected / 2, rel=1e-6)


def test_calibration_is_zero_at_the_history_and_one_at_its_opposite(catalogue, make_batch):
    batch, calibration = make_batch(rows=1), Calibration(catalogue)
    batch = dataclasses.replace(batch, seen_QS=torch.tensor([[6, 12, 8]]), history_QS=torch.ones(1, 3))
    assert calibration(slate_of([[6, 18, 8]]), batch).item() == pytest.approx(0, abs=1e-12)
    assert calibration(slate_of([[7, 9]]), batch).item() == pytest.approx(1)
    # history 2/3 and 1/3, slate all in the first: Steck 2018, equation 6, alpha = .01
    divergence = 2 / 3 * math.log(2 / 3 / (0.99 + 0.01 * 2 / 3)) + 1 / 3 * math.log(100)
    assert calibration(slate_of([[6, 12]]), batch).item() == pytest.approx(divergence / math.log(100))


@pytest.mark.parametrize("kind", [Simpson, IntraListSimilarity, NearestSimilarity])
def test_prefix_forms_move_the_lower_item_only(kind, catalogue, make_batch):
    for prefix in (False, True):
        slate = slate_of([[6, 12, 7]])
        slate.weights_BM.requires_grad_()
        value = kind(catalogue, prefix=prefix)(slate, make_batch())
        (gradient,) = torch.autograd.grad(value, slate.weights_BM)
        assert (gradient[0, 0].item() == 0) == prefix
        assert gradient[0, 1:].abs().sum() > 0


@pytest.mark.parametrize("kind", [Simpson, IntraListSimilarity])
def test_prefix_forms_have_the_value_of_the_plain_form(kind, catalogue, make_batch):
    weights = torch.rand(4, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slate = slate_of(torch.arange(48).view(4, 12), weights, k=5)
    plain, prefix = (kind(catalogue, prefix=prefix)(slate, make_batch()) for prefix in (False, True))
    assert plain.item() == pytest.approx(prefix.item(), rel=1e-6)


@pytest.mark.parametrize("kind", [Simpson, IntraListSimilarity, MaxSimilarity, NearestSimilarity])
def test_pairs_of_a_list_of_one_are_refused_and_rows_without_a_pair_left_out(kind, catalogue, make_batch):
    with pytest.raises(ConfigError, match="no pairs"):
        kind(catalogue)(slate_of([[6]]), make_batch())
    alone = slate_of([[6, 7, 12], [6, 0, 0]], [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    alone.valid_BM[1, 1:] = False
    expected = kind(catalogue)(slate_of([[6, 7, 12]]), make_batch())
    assert kind(catalogue)(alone, make_batch()).item() == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda catalogue: Simpson(catalogue, weight=-1), "weight"),
        (lambda catalogue: GiniOverlap(catalogue, space="brand"), "space"),
        (lambda catalogue: BetaDivergence(catalogue, reference="past"), "reference"),
        (lambda catalogue: BetaDivergence(catalogue, direction="up"), "direction"),
        (lambda catalogue: ExposureGini(catalogue, rate=1.0), "rate"),
        (lambda catalogue: Coverage(catalogue, rate=-0.1), "rate"),
        (lambda catalogue: Coverage(catalogue, users=0), "users"),
        (lambda catalogue: MaxSimilarity(catalogue, sharpness=0), "sharpness"),
        (lambda catalogue: NearestSimilarity(catalogue, sharpness=81), "sharpness"),
        (lambda catalogue: LogDeterminant(catalogue, top=1), "top"),
        (lambda catalogue: BetaDivergence(catalogue, order="high"), "order"),
    ],
)
def test_impossible_settings_are_refused(build, text, catalogue):
    with pytest.raises(ConfigError, match=text):
        build(catalogue)
