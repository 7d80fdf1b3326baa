from dataclasses import replace

import pytest
import torch
from torch import nn

from divrec.batch import ModelOutput
from divrec.errors import ConfigError
from divrec.objectives import (
    CrossEntropy,
    ExposureGini,
    IntraListSimilarity,
    SampledCrossEntropy,
    Simpson,
    Softmax,
    SoftTopK,
    TradeoffObjective,
)

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


class Vectors(nn.Module):
    """A free vector for each row and each item, which are asked for, or for their products."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.users, self.items = (nn.Parameter(torch.randn(size, 4, generator=generator)) for size in (8, ITEMS))

    def forward(self, batch, request=None):
        users = self.users[batch.query_rows_Q]
        if request is None:
            return ModelOutput(users @ self.items.T, users, self.items)
        assert request.candidates_C is None
        leading = users @ self.items.T if request.leading else users.new_empty(0, 0)
        return ModelOutput(leading, users, self.items)


def objective(catalogue, beta, names=("simpson",), scale="raw"):
    kinds = {"simpson": Simpson, "gini": ExposureGini, "similarity": IntraListSimilarity}
    regularizers = {name: kinds[name](catalogue) for name in names}
    return TradeoffObjective(CrossEntropy(), regularizers, SoftTopK(5, top=30), beta, scale)


def gradient_of(terms, model, name="total"):
    return torch.autograd.grad(terms[name], model.scores, retain_graph=True)[0]


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
    kinds = ("diversity", "scaled", "weighted")
    assert set(terms) == {"task", "total"} | {f"{kind}/{name}" for kind in kinds for name in ("simpson", "gini")}
    finite = {name: value for name, value in terms.items() if name != "diversity/gini"}  # an empty memory has no Gini
    total = objective(catalogue, 0.7)(model(batch), batch)
    assert torch.allclose(total["total"], finite["task"] + 0.7 * finite["diversity/simpson"])


def test_each_regularizer_is_named_raw_scaled_and_weighted(catalogue, make_batch):
    batch, model = make_batch(), Table()
    both = objective(catalogue, 0.5, names=("simpson", "gini"), scale="gradient")
    both.regularizers["gini"].weight = 3.0
    ratios = both.calibrate(model, [batch])
    terms = both(model(batch), batch)
    for name, weight in (("simpson", 1.0), ("gini", 3.0)):
        assert terms[f"scaled/{name}"].item() == pytest.approx(ratios[name] * terms[f"diversity/{name}"].item())
        assert terms[f"weighted/{name}"].item() == pytest.approx(0.5 * weight * terms[f"scaled/{name}"].item())
    assert torch.allclose(terms["total"], terms["task"] + terms["weighted/simpson"] + terms["weighted/gini"])


@pytest.mark.parametrize("relax", [SoftTopK(5, top=30), SoftTopK(5, width=1e-4, top=30), Softmax(5)])
def test_the_share_of_the_gradient_outside_the_top_k(relax, catalogue, make_batch):
    batch, model = make_batch(), Table()
    pulled = TradeoffObjective(CrossEntropy(), {"simpson": Simpson(catalogue)}, relax, 2.0, "raw")
    assert pulled.outside_share is None
    terms = pulled(model(batch), batch)
    (gradient,) = torch.autograd.grad(terms["total"] - terms["task"], model.scores)
    servable = model.scores.detach().scatter(1, batch.seen_QS, -torch.inf)
    inside = torch.zeros_like(servable).scatter(1, servable.topk(5, dim=-1).indices, 1)
    expected = (gradient.abs() * (1 - inside)).sum() / gradient.abs().sum()
    assert 0 < expected < 1
    assert pulled.outside_share.item() == pytest.approx(expected.item(), abs=1e-5)


def test_the_task_alone_measures_no_share(catalogue, make_batch):
    batch, model = make_batch(), Table()
    alone = objective(catalogue, 0.0)
    gradient_of(alone(model(batch), batch), model)
    assert alone.outside_share is None


def test_mixed_precision_leaves_the_regularizers_in_single_precision(catalogue, make_batch):
    batch, model = make_batch(), Table()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = objective(catalogue, 1.0, names=("similarity",))(model(batch), batch)
    assert terms["diversity/similarity"].dtype == torch.float32
    plain = objective(catalogue, 1.0, names=("similarity",))(model(batch), batch)
    assert torch.equal(terms["diversity/similarity"], plain["diversity/similarity"])


def test_the_regularizer_moves_the_gradient_only_when_beta_is_above_zero(catalogue, make_batch):
    batch, model = make_batch(), Table()
    plain, pulled = (gradient_of(objective(catalogue, beta)(model(batch), batch), model) for beta in (0.0, 2.0))
    assert (plain - pulled).abs().max() > 1e-4


def test_at_beta_one_the_calibrated_regularizer_pulls_as_hard_as_the_task(catalogue, make_batch):
    batches, model = [make_batch(seed=seed) for seed in range(4)], Table()
    for name in ("simpson", "gini"):
        calibrated = objective(catalogue, 1.0, names=(name,), scale="gradient")
        calibrated.reference_users = batches[0].users_B.shape[0]
        ratio = calibrated.calibrate(model, batches)[name]
        pull = task = 0.0
        for batch in batches:
            terms = calibrated(model(batch), batch)
            task += torch.autograd.grad(terms["task"], model.scores, retain_graph=True)[0].square().sum()
            pull += (ratio * torch.autograd.grad(terms[f"diversity/{name}"], model.scores)[0]).square().sum()
        assert pull.item() == pytest.approx(task.item(), rel=0.05)


@pytest.mark.parametrize(("times", "batches"), [(0.25, 8), (1, 8), (2, 16), (2.25, 18), (4, 32), (30, 32)])
def test_a_calibration_sees_as_many_users_as_eight_batches_of_reference(times, batches, catalogue, make_batch):
    calibrated, first = objective(catalogue, 1.0), make_batch()
    calibrated.reference_users = times * first.users_B.shape[0]
    assert calibrated.calibration_batches(first) == batches


def test_the_norms_on_watched_parameters_are_told_beside_the_ratio(catalogue, make_batch):
    class TwoTables(Table):
        def __init__(self):
            super().__init__()
            self.extra = nn.Parameter(torch.zeros(8, ITEMS))

        def forward(self, batch, request=None):
            return ModelOutput(super().forward(batch).scores_QN + 2 * self.extra[batch.query_rows_Q])

    batches, model = [make_batch(seed=seed) for seed in range(3)], TwoTables()
    calibrated = objective(catalogue, 1.0, names=("simpson",), scale="gradient")
    calibrated.reference_users = batches[0].users_B.shape[0]
    ratio = calibrated.calibrate(model, batches, [model.extra])["simpson"]
    norms = calibrated.watched_norms
    assert set(norms) == {"task", "simpson"}
    assert norms["task"] / norms["simpson"] == pytest.approx(ratio, rel=1e-4)
    tasks = [calibrated(model(batch), batch)["task"] for batch in batches]
    squares = [float(torch.autograd.grad(task, model.scores)[0].square().sum()) for task in tasks]
    assert norms["task"] == pytest.approx(2 * (sum(squares) / 3) ** 0.5, rel=1e-4)
    unwatched = objective(catalogue, 1.0, names=("simpson",), scale="gradient")
    unwatched.calibrate(model, batches)
    assert unwatched.watched_norms == {}


def test_seen_items_take_no_part(catalogue, make_batch):
    batch, model = make_batch(), Table()
    gradient = gradient_of(objective(catalogue, 1.0)(model(batch), batch), model)
    assert gradient.gather(1, batch.seen_QS).abs().max() == 0


@pytest.mark.parametrize(("task", "size"), [(CrossEntropy(), None), (SampledCrossEntropy(2000), ITEMS)])
def test_seen_items_can_be_compared_with_and_stay_out_of_the_lists(task, size, catalogue, make_batch):
    """The task's softmax holds the history's items; R reads the delivered lists, which do not."""
    batch, model, simpson = make_batch(), Table(), {"simpson": Simpson(catalogue)}
    recipe = {"catalogue_size": size, "compare_seen": True}
    only_task = TradeoffObjective(task, {}, SoftTopK(5, top=30), 0.0, **recipe).step(model, batch)
    pulls = gradient_of(only_task, model).gather(1, batch.seen_QS)
    assert (pulls > 0).all(), "they are negatives like any other"
    if size is None:
        assert torch.equal(only_task["task"], task(model(batch).scores_QN, batch))
    with_list, without = (
        TradeoffObjective(task, simpson, SoftTopK(5, top=30), 1.0, "raw", catalogue_size=size, compare_seen=compared)
        for compared in (True, False)
    )
    terms, usual = with_list.step(model, batch), without.step(model, batch)
    assert torch.equal(terms["diversity/simpson"], usual["diversity/simpson"])
    assert gradient_of(terms, model, "diversity/simpson").gather(1, batch.seen_QS).abs().max() == 0
    assert terms["task"] > usual["task"]


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


@pytest.mark.parametrize("compared", [False, True])
@pytest.mark.parametrize("beta", [0.0, 0.7])
def test_scoring_the_candidates_alone_gives_the_loss_and_gradient_of_scoring_everything(
    beta, compared, catalogue, make_batch
):
    batch, model, found = make_batch(), Table(), []
    for size in (None, ITEMS):
        terms = TradeoffObjective(
            SampledCrossEntropy(30),
            {"simpson": Simpson(catalogue)},
            SoftTopK(5, top=30),
            beta,
            "raw",
            catalogue_size=size,
            compare_seen=compared,
        ).step(model, batch)
        found.append((terms["total"], gradient_of(terms, model)))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-6)


def chunked_and_not(catalogue, beta, scale="raw", **recipe):
    """The same objective with all scores at once and with those of 7 items at a time."""
    regularizers = {"simpson": Simpson(catalogue)} if beta else {}
    return [
        TradeoffObjective(CrossEntropy(chunk), regularizers, SoftTopK(5, top=30), beta, scale, **recipe)
        for chunk in (None, 7)
    ]


@pytest.mark.parametrize(
    "recipe", [{}, {"exclude_seen": False}, {"compare_seen": True}, {"catalogue_size": ITEMS}, {"spared": True}]
)
@pytest.mark.parametrize("beta", [0.0, 0.7])
def test_scoring_chunk_by_chunk_gives_the_terms_and_gradients_of_scoring_at_once(beta, recipe, catalogue, make_batch):
    batch, model, found = make_batch(), Vectors(), []
    if recipe.pop("spared", False):
        recipe["spared_N"] = torch.arange(ITEMS) % 3 == 0
        kept = batch.target_items_P - batch.target_items_P % 3 + 1
        batch = replace(batch, target_items_P=kept, seen_QS=batch.seen_QS.where(batch.seen_QS % 3 != 1, ITEMS))
    for each in chunked_and_not(catalogue, beta, **recipe):
        terms = each.step(model, batch)
        found.append((terms, torch.autograd.grad(terms["total"], model.parameters())))
    (whole, wanted), (chunked, gradients) = found
    assert chunked.keys() == whole.keys()
    for name, value in chunked.items():
        assert torch.allclose(value, whole[name], atol=1e-5), name
    for one, other in zip(gradients, wanted, strict=True):
        assert other.abs().max() > 1e-3
        assert torch.allclose(one, other, atol=1e-5)


def test_gradient_ratios_are_measured_chunk_by_chunk(catalogue, make_batch):
    batches, model = [make_batch(seed=seed) for seed in range(3)], Vectors()
    whole, chunked = (each.calibrate(model, batches) for each in chunked_and_not(catalogue, 1.0, "gradient"))
    assert whole["simpson"] > 0
    assert chunked == pytest.approx(whole, rel=1e-5)


def test_beta_zero_leaves_a_chunked_task_alone_bit_for_bit(catalogue, make_batch):
    batch, model, found = make_batch(), Vectors(), []
    for regularizers in ({}, {"simpson": Simpson(catalogue)}):
        terms = TradeoffObjective(CrossEntropy(7), regularizers, SoftTopK(5, top=30), 0.0).step(model, batch)
        assert set(terms) == {"task", "total"}, "scores for the regularizer are not made for its sake alone"
        found.append((terms["total"], *torch.autograd.grad(terms["total"], model.parameters())))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_chunks_need_a_model_with_vectors(catalogue, make_batch):
    class Scores(nn.Module):
        def forward(self, batch, request):
            return ModelOutput(torch.zeros(0, 0))

    with pytest.raises(ConfigError, match=r"task\.chunk"):
        TradeoffObjective(CrossEntropy(7), {}, SoftTopK(5)).step(Scores(), make_batch())


def test_beta_zero_leaves_a_sampled_task_alone_bit_for_bit(catalogue, make_batch):
    batch, model, found = make_batch(), Table(), []
    for regularizers in ({}, {"simpson": Simpson(catalogue)}):
        terms = TradeoffObjective(
            SampledCrossEntropy(30), regularizers, SoftTopK(5, top=30), 0.0, catalogue_size=ITEMS
        ).step(model, batch)
        found.append((terms["total"], gradient_of(terms, model)))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


@pytest.mark.parametrize(("task", "size"), [(CrossEntropy(), None), (SampledCrossEntropy(200), ITEMS)])
def test_spared_items_have_no_part_in_the_task_and_stay_in_the_lists(task, size, catalogue, make_batch):
    batch, model = make_batch(), Table()
    spared = torch.zeros(ITEMS, dtype=torch.bool)
    spared[torch.unique(torch.cat([batch.target_items_P, batch.seen_QS.flatten()]))] = True
    spared = ~spared  # whatever nobody touches
    assert spared.any()
    simpson = {"simpson": Simpson(catalogue)}
    recipe = {"catalogue_size": size, "spared_N": spared}
    alone = TradeoffObjective(task, {}, SoftTopK(5, top=30), 0.0, **recipe).step(model, batch)
    assert gradient_of(alone, model)[:, spared].abs().sum() == 0
    with_list = TradeoffObjective(task, simpson, SoftTopK(5, top=30), 1.0, "raw", **recipe).step(model, batch)
    assert gradient_of(with_list, model)[:, spared].abs().sum() > 0
