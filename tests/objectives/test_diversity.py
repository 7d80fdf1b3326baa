import pytest
import torch

from divrec.batch import SoftSlate
from divrec.errors import ConfigError
from divrec.measures import gini_index
from divrec.objectives import BetaDivergence, ExposureGini, GiniOverlap, Simpson, SoftTopK


def slate_of(items, weights=None, k=None):
    items = torch.as_tensor(items)
    weights = (
        torch.ones(items.shape, dtype=torch.float64)
        if weights is None
        else torch.as_tensor(weights, dtype=torch.float64)
    )
    return SoftSlate(items, weights, torch.ones_like(items, dtype=torch.bool), k or items.shape[1])


SAME = [[0 + 6, 6 + 6, 12 + 6]]  # all in category 0 (items 0, 10, 20, ... belong to two)
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


def test_exposure_gini_reports_the_memory_and_prices_what_is_shown_most(catalogue, make_batch):
    gini, batch = ExposureGini(catalogue).double(), make_batch(rows=1)
    gini.train()
    for _ in range(3):
        gini(slate_of([[1, 2, 3]]), batch)
    slate = slate_of([[1, 4, 5]])
    slate.weights_BM.requires_grad_()
    value = gini(slate, batch)
    assert torch.allclose(value, gini_index(gini.memory_N))
    (gradient,) = torch.autograd.grad(value, slate.weights_BM)
    assert gradient[0, 0] > gradient[0, 1:].max(), "showing the item that all have seen costs most"


def test_exposure_memory_forgets_by_users_and_not_by_batches(catalogue, make_batch):
    whole, parts = ExposureGini(catalogue).double(), ExposureGini(catalogue).double()
    whole(slate_of([[1, 2], [1, 2]]), make_batch(rows=2))
    for _ in range(2):
        parts(slate_of([[1, 2]]), make_batch(rows=1))
    assert whole.memory_N.sum() > 0
    assert torch.allclose(whole.memory_N, parts.memory_N)


def test_evaluation_leaves_the_exposure_memory_alone(catalogue, make_batch):
    gini = ExposureGini(catalogue).eval()
    gini(slate_of([[1, 2]]), make_batch(rows=1))
    assert gini.memory_N.sum() == 0


@pytest.mark.parametrize("kind", [GiniOverlap, Simpson, BetaDivergence, ExposureGini])
def test_every_regularizer_is_finite_with_a_gradient_on_awkward_input(kind, catalogue, make_batch):
    for rows, empty in ((1, False), (8, True)):
        batch = make_batch(rows=rows)
        if empty:
            batch.history_QS.zero_()
        free = torch.randn(rows, 60).requires_grad_()
        value = kind(catalogue)(SoftTopK(3, top=20)(free), batch)
        (gradient,) = torch.autograd.grad(value, free)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()
        if kind is not GiniOverlap or not empty:
            assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda catalogue: Simpson(catalogue, weight=-1), "weight"),
        (lambda catalogue: GiniOverlap(catalogue, space="brand"), "space"),
        (lambda catalogue: BetaDivergence(catalogue, reference="past"), "reference"),
        (lambda catalogue: BetaDivergence(catalogue, direction="up"), "direction"),
        (lambda catalogue: ExposureGini(catalogue, rate=1.0), "rate"),
    ],
)
def test_impossible_settings_are_refused(build, text, catalogue):
    with pytest.raises(ConfigError, match=text):
        build(catalogue)
