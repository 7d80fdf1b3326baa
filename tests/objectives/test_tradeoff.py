import pytest
import torch
from torch import nn

from divrec.batch import ModelOutput
from divrec.errors import ConfigError
from divrec.objectives import CrossEntropy, ExposureGini, SampledCrossEntropy, Simpson, SoftTopK, TradeoffObjective

ITEMS = 60


class Table(nn.Module):
    """A free score for each row and item: the smallest model there is."""

    def __init__(self):
        super().__init__()
        self.scores = nn.Parameter(torch.randn(8, ITEMS, generator=torch.Generator().manual_seed(5)))

    def forward(self, batch, request=None):
        scores = self.scores[batch.query_rows_Q]
        if request is None:
            return ModelOutput(scores)
        leading = scores if request.leading else scores.new_empty(0, 0)
        return ModelOutput(leading, candidate_scores_QC=scores[:, request.candidates_C])


def objective(catalogue, beta, names=("simpson",), scale="raw"):
    kinds = {"simpson": Simpson, "gini": ExposureGini}
    regularizers = {name: kinds[name](catalogue) for name in names}
    return TradeoffObjective(CrossEntropy(), regularizers, SoftTopK(5, top=30), beta, scale)


def gradient_of(terms, model):
    return torch.autograd.grad(terms["total"], model.scores)[0]


def test_beta_zero_is_the_task_alone_bit_for_bit(catalogue, make_batch):
    batch, model = make_batch(), Table()
    alone = objective(catalogue, 0.0, names=())(model(batch), batch)
    with_regularizer = objective(catalogue, 0.0)(model(batch), batch)
    assert torch.equal(alone["total"], with_regularizer["total"])
    assert with_regularizer["total"] is with_regularizer["task"]
    assert torch.equal(gradient_of(alone, model), gradient_of(with_regularizer, model))
    assert "diversity/simpson" in with_regularizer, "its value is still shown"


def test_a_broken_regularizer_cannot_reach_a_beta_zero_run(catalogue, make_batch):
    class Broken(Simpson):
        def forward(self, slate, batch):
            return super().forward(slate, batch) * torch.nan

    terms = TradeoffObjective(CrossEntropy(), {"broken": Broken(catalogue)}, SoftTopK(5), 0.0)(
        Table()(make_batch()), make_batch()
    )
    assert torch.isfinite(terms["total"])


def test_total_is_the_sum_of_its_named_terms(catalogue, make_batch):
    batch, model = make_batch(), Table()
    terms = objective(catalogue, 0.7, names=("simpson", "gini")).eval()(model(batch), batch)
    assert set(terms) == {"task", "total", "diversity/simpson", "diversity/gini"}
    finite = {name: value for name, value in terms.items() if name != "diversity/gini"}  # an empty memory has no Gini
    total = objective(catalogue, 0.7)(model(batch), batch)
    assert torch.allclose(total["total"], finite["task"] + 0.7 * finite["diversity/simpson"])


def test_the_regularizer_moves_the_gradient_only_when_beta_is_above_zero(catalogue, make_batch):
    batch, model = make_batch(), Table()
    plain, pulled = (gradient_of(objective(catalogue, beta)(model(batch), batch), model) for beta in (0.0, 2.0))
    assert (plain - pulled).abs().max() > 1e-4


def test_at_beta_one_the_calibrated_regularizer_pulls_as_hard_as_the_task(catalogue, make_batch):
    batches, model = [make_batch(seed=seed) for seed in range(4)], Table()
    for name in ("simpson", "gini"):
        calibrated = objective(catalogue, 1.0, names=(name,), scale="gradient")
        ratio = calibrated.calibrate(model, batches)[name]
        pull = task = 0.0
        for batch in batches:
            terms = calibrated(model(batch), batch)
            task += torch.autograd.grad(terms["task"], model.scores, retain_graph=True)[0].square().sum()
            pull += (ratio * torch.autograd.grad(terms[f"diversity/{name}"], model.scores)[0]).square().sum()
        assert pull.item() == pytest.approx(task.item(), rel=0.05)


def test_seen_items_take_no_part(catalogue, make_batch):
    batch, model = make_batch(), Table()
    gradient = gradient_of(objective(catalogue, 1.0)(model(batch), batch), model)
    assert gradient.gather(1, batch.seen_QS).abs().max() == 0


def test_a_regularizer_without_gradient_is_refused_at_calibration(catalogue, make_batch):
    class Constant(Simpson):
        def forward(self, slate, batch):
            return torch.tensor(0.5)

    deaf = TradeoffObjective(CrossEntropy(), {"constant": Constant(catalogue)}, SoftTopK(5), 1.0)
    with pytest.raises(ConfigError, match="no gradient"):
        deaf.calibrate(Table(), [make_batch()])


@pytest.mark.parametrize(
    ("beta", "scale", "names", "text"),
    [
        (-0.1, "raw", ("simpson",), "beta"),
        (float("nan"), "raw", ("simpson",), "beta"),
        (1.0, "loud", ("simpson",), "beta_scale"),
        (1.0, "raw", (), "no regularizer"),
    ],
)
def test_dials_that_make_no_sense_are_refused(beta, scale, names, text, catalogue):
    with pytest.raises(ConfigError, match=text):
        objective(catalogue, beta, names, scale)


@pytest.mark.parametrize("beta", [0.0, 0.7])
def test_scoring_the_candidates_alone_gives_the_loss_and_gradient_of_scoring_everything(catalogue, beta, make_batch):
    batch, model, found = make_batch(), Table(), []
    for size in (None, ITEMS):
        terms = TradeoffObjective(
            SampledCrossEntropy(30),
            {"simpson": Simpson(catalogue)},
            SoftTopK(5, top=30),
            beta,
            "raw",
            catalogue_size=size,
        ).step(model, batch)
        found.append((terms["total"], gradient_of(terms, model)))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)


def test_beta_zero_leaves_a_sampled_task_alone_bit_for_bit(catalogue, make_batch):
    batch, model, found = make_batch(), Table(), []
    for regularizers in ({}, {"simpson": Simpson(catalogue)}):
        terms = TradeoffObjective(
            SampledCrossEntropy(30), regularizers, SoftTopK(5, top=30), 0.0, catalogue_size=ITEMS
        ).step(model, batch)
        found.append((terms["total"], gradient_of(terms, model)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
