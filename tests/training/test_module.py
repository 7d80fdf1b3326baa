"""The module: what it logs, what it optimizes, when it measures the gradient ratios."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest
import torch

from divrec.models import Frozen
from divrec.objectives import ExposureGini, Simpson
from divrec.training import Schedule, fit
from models.conftest import WORDS, save_tiny
from training.sharded_shop import text_module
from training.shop import MONITOR, Log

STEPS = Schedule(steps=5, learning_rate=0.05)
BOTH = {"simpson": Simpson, "gini": ExposureGini}


def weights_after(module, data, trainer):
    torch.manual_seed(0)
    fit(module, data, trainer, [], MONITOR, show_bar=False)
    return {name: tensor.clone() for name, tensor in module.model.state_dict().items()}


def test_a_model_in_pieces_does_not_trust_the_tables_of_the_whole_one(make_module, monkeypatch):
    module, forgotten = make_module(Schedule(1, 1e-3)), []
    table = SimpleNamespace(forget=lambda: forgotten.append(True))
    monkeypatch.setattr("divrec.training.module.shard", lambda model, mesh: model)
    monkeypatch.setattr("divrec.training.module.text_tables", lambda model: {"table": table})
    module._device_mesh = {"data_parallel": None}
    whole = module.model
    module.configure_model()
    assert module.model is not whole
    assert forgotten == [True]


def test_beta_zero_trains_the_same_weights_with_and_without_a_regularizer(make_module, data, trainer):
    plain = weights_after(make_module(STEPS), data, trainer)
    with_regularizers = weights_after(make_module(STEPS, BOTH), data, trainer)
    start = make_module(STEPS).model.state_dict()
    assert all(torch.equal(plain[name], with_regularizers[name]) for name in plain)
    assert not torch.equal(plain["popularity"], start["popularity"]), "it has learned something"


@pytest.mark.parametrize("scale", ["gradient", "raw"])
def test_beta_above_zero_trains_other_weights(scale, make_module, data, trainer):
    plain = weights_after(make_module(STEPS), data, trainer)
    pulled = weights_after(make_module(STEPS, BOTH, 1.0, scale), data, trainer)
    assert not torch.equal(plain["popularity"], pulled["popularity"])


def test_every_term_and_every_metric_is_logged_under_its_name(make_module, data, trainer):
    log = Log()
    fit(make_module(STEPS, BOTH, 1.0), data, trainer, [log], MONITOR, show_bar=False)
    names = {name for _, row in log.rows for name in row}
    assert {"loss/task", "loss/total", "loss/diversity/simpson", "loss/diversity/gini"} <= names
    assert {"loss/scaled/gini", "loss/weighted/gini", "gradient/outside_top_k"} <= names
    assert {"ratio/simpson", "ratio/gini"} <= names
    assert {MONITOR, "validation/coverage@5", "validation/gini@5"} <= names
    for _, row in log.rows:
        if "loss/total" in row:
            assert row["loss/total"] > row["loss/task"]


def test_the_ratios_are_measured_before_the_first_step_and_only_where_they_matter(make_module, data, trainer):
    for beta, scale, measured in ((1.0, "gradient", True), (1.0, "raw", False), (0.0, "gradient", False)):
        module = make_module(STEPS, BOTH, beta, scale)
        fit(module, data, trainer, [], MONITOR, show_bar=False)
        ratios = list(module.objective.ratio_by_name.values())
        assert (ratios != [1.0, 1.0]) == measured
        assert all(ratio > 0 for ratio in ratios)


def test_measuring_the_ratios_moves_no_weight_and_draws_no_batch(make_module, data, trainer):
    """With a weight of 0 the regularizer pulls nothing: the training must be that of the task alone."""
    module = make_module(STEPS, BOTH, 1.0)
    for regularizer in module.objective.regularizers.values():
        regularizer.weight = 0.0
    plain = weights_after(make_module(STEPS), data, trainer)
    weightless = weights_after(module, data, trainer)
    assert all(torch.allclose(plain[name], weightless[name], atol=1e-6) for name in plain)


def test_the_rate_moves_with_every_step(make_module):
    assert make_module(STEPS).configure_optimizers()["lr_scheduler"]["interval"] == "step"


def test_validation_measures_the_lists_that_are_delivered(make_module, data, trainer, shop_catalogue):
    agrees_with_an_evaluation(make_module(STEPS), data, trainer, shop_catalogue)


def test_in_half_precision_validation_ranks_in_full_precision(data, trainer, shop_catalogue, tmp_path):
    plm = save_tiny(tmp_path / "bert", "bert")
    texts = [f"{first} {second}" for first in WORDS for second in WORDS[:4]]
    module = text_module(data, plm, Frozen(), STEPS, 0.0, texts)
    agrees_with_an_evaluation(module, data, partial(trainer, precision="bf16-mixed"), shop_catalogue)
    batch = next(iter(data.val_dataloader())).batch
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert module.model.train(False)(batch).scores_QN.dtype == torch.bfloat16, "it would have been half"


def agrees_with_an_evaluation(module, data, trainer, shop_catalogue):
    """Whether the last validation of a training has the values of an evaluation afterwards."""
    from divrec.evaluation import AS_RANKED, Protocol, evaluate
    from divrec.metrics import SlateMetrics

    log = Log()
    fit(module, data, trainer, [log], MONITOR, show_bar=False)
    last = next(row for _, row in reversed(log.rows) if MONITOR in row)
    protocol = Protocol(lambda catalogue: SlateMetrics(catalogue, 5), 5, 5, True, module.tie_order_N)
    ids = [str(item) for item in range(shop_catalogue.size)]
    found = evaluate(module.model, {"validation": data.val_dataloader()}, shop_catalogue, ids, protocol)
    for name, value in found[AS_RANKED].metrics["validation"].items():
        assert last[f"validation/{name}"] == pytest.approx(value, abs=1e-5), name
