"""The optimizers: who learns at which rate, what decays, what is refused; steps, clipping and accumulation."""

from __future__ import annotations

import logging
import math
from functools import partial
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import yaml
from hydra.utils import instantiate
from torch import nn

from divrec.errors import ConfigError
from divrec.training import GroupedOptimizer, Schedule, fit
from divrec.training.optimizer import belongs_to_plm
from training.shop import MONITOR

ADAMW = torch.optim.AdamW
CONF = Path(__file__).resolve().parents[2] / "conf" / "optimizer"


class Tower(nn.Module):
    """Names and shapes of a recommender with a language model inside."""

    def __init__(self) -> None:
        super().__init__()
        self.item_tower = nn.ModuleDict({"text_tower": nn.Linear(3, 4), "project": nn.Linear(4, 2)})
        self.identity = nn.Embedding(5, 2)
        self.gain = nn.Parameter(torch.ones(()))


def by_parameter(optimizer, model):
    """Name -> (learning rate, weight decay)."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_matrices_decay_and_vectors_do_not():
    model = Tower()
    assert by_parameter(GroupedOptimizer(ADAMW, 0.1, 0.01)(model), model) == {
        "item_tower.text_tower.weight": (0.1, 0.01),
        "item_tower.text_tower.bias": (0.1, 0.0),
        "item_tower.project.weight": (0.1, 0.01),
        "item_tower.project.bias": (0.1, 0.0),
        "identity.weight": (0.1, 0.01),
        "gain": (0.1, 0.0),
    }


def test_the_language_model_has_a_rate_and_a_decay_of_its_own_and_embeddings_none():
    model = Tower()
    recipe = GroupedOptimizer(ADAMW, 0.1, 0.01, plm_learning_rate=0.002, plm_weight_decay=0.3, decay_embeddings=False)
    assert by_parameter(recipe(model), model) == {
        "item_tower.text_tower.weight": (0.002, 0.3),
        "item_tower.text_tower.bias": (0.002, 0.0),
        "item_tower.project.weight": (0.1, 0.01),
        "item_tower.project.bias": (0.1, 0.0),
        "identity.weight": (0.1, 0.0),
        "gain": (0.1, 0.0),
    }


def test_the_scores_that_items_have_for_everybody_have_a_rate_of_their_own():
    model = Tower()
    model.bias_N = nn.Parameter(torch.zeros(5))
    rates = by_parameter(GroupedOptimizer(ADAMW, 0.1, 0.01, popularity_learning_rate=0.5)(model), model)
    assert rates.pop("bias_N") == (0.5, 0.0)
    assert {rate for rate, _ in rates.values()} == {0.1}
    assert by_parameter(GroupedOptimizer(ADAMW, 0.1)(model), model)["bias_N"] == (0.1, 0.0)


def test_a_rate_for_scores_that_items_do_not_have_is_said_to_do_nothing(caplog):
    with caplog.at_level(logging.WARNING):
        GroupedOptimizer(ADAMW, 0.1, popularity_learning_rate=0.5)(Tower())
    assert "popularity_learning_rate does nothing" in caplog.text


def test_the_schedule_multiplies_every_groups_own_rate():
    model = Tower()
    optimizer = GroupedOptimizer(ADAMW, 0.1, plm_learning_rate=0.002)(model)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, Schedule(10, 0.1, decay="linear").factor())
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    assert sorted(scheduler.get_last_lr()) == pytest.approx([0.001, 0.05])


def test_frozen_weights_stay_out():
    model = Tower()
    model.item_tower["text_tower"].requires_grad_(False)
    assert not any(belongs_to_plm(name) for name in by_parameter(GroupedOptimizer(ADAMW, 0.1)(model), model))


def test_a_rate_for_a_frozen_language_model_is_said_to_do_nothing(caplog):
    model = Tower()
    model.item_tower["text_tower"].requires_grad_(False)
    with caplog.at_level(logging.WARNING):
        GroupedOptimizer(ADAMW, 0.1, plm_learning_rate=0.01)(model)
    assert "plm_learning_rate does nothing" in caplog.text


def test_a_model_without_trainable_weights_is_refused():
    with pytest.raises(ConfigError, match="leaves nothing to train"):
        GroupedOptimizer(ADAMW, 0.1)(nn.Linear(2, 2).requires_grad_(False))


@pytest.mark.parametrize(
    ("name", "is_plm"),
    [
        ("item_tower.text_tower.plm.layer.0.weight", True),
        ("model.plm.embeddings.weight", True),
        ("item_tower.project.0.weight", False),
        ("user.plmish.weight", False),
    ],
)
def test_the_language_model_is_known_by_name(name, is_plm):
    assert belongs_to_plm(name) == is_plm


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"plm_learning_rate": 0.0}, "plm_learning_rate"),
        ({"popularity_learning_rate": -1.0}, "popularity_learning_rate"),
        ({"plm_weight_decay": -1.0}, "plm_weight_decay"),
        ({"decay_embeddings": "no"}, "decay_embeddings"),
        ({"optimizer": partial(ADAMW, betas=(2.0, 0.9))}, "optimizer.optimizer"),
        ({"optimizer": partial(ADAMW, momentum=0.9)}, "optimizer.optimizer"),
        ({"optimizer": partial(torch.optim.SGD, nesterov=True)}, "optimizer.optimizer"),
    ],
)
def test_bad_values_are_refused_at_the_door(settings, key):
    with pytest.raises(ConfigError, match=rf"optimizer\.{key.removeprefix('optimizer.')}"):
        GroupedOptimizer(**{"optimizer": ADAMW, "learning_rate": 0.1} | settings)


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_every_configured_optimizer_learns(name):
    content = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    model, target = nn.Linear(4, 1), torch.randn(64, 4) @ torch.randn(4, 1)
    inputs = torch.linalg.lstsq(torch.eye(4), torch.randn(64, 4).T).solution.T
    target = inputs @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]])
    optimizer = instantiate({**content, "learning_rate": 0.03 if name != "adafactor" else 0.1})(model)
    losses = []
    for _ in range(200):
        loss = (model(inputs) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.2 * losses[0]
    assert type(optimizer).__name__.lower() == name


class Watch(pl.Callback):
    """Rates and weights at each optimizer step, and the batches of each."""

    def __init__(self) -> None:
        self.rates, self.batches, self.weights, self.validated = [], 0, [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.batches += 1

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.weights.append([parameter.detach().clone() for parameter in pl_module.model.parameters()])

    def on_validation_end(self, trainer, pl_module):
        self.validated.append(trainer.global_step)


def watched(make_module, data, trainer, schedule, **settings):
    watch = Watch()

    def build(**given):
        return trainer(**given | {"callbacks": [*given["callbacks"], watch]}, **settings)

    module = make_module(schedule)
    fitted = fit(module, data, build, [], MONITOR, show_bar=False)
    return watch, fitted, module


def test_with_accumulation_steps_rates_and_validations_still_count_optimizer_steps(make_module, data, trainer):
    schedule = Schedule(steps=8, learning_rate=0.1, warmup=2, decay="linear", validate_every=4)
    plain, _, _ = watched(make_module, data, trainer, schedule)
    watch, fitted, _ = watched(make_module, data, trainer, schedule, accumulate_grad_batches=2)
    assert fitted.steps == 8
    assert watch.rates == pytest.approx([0.1 * schedule.factor()(step) for step in range(8)])
    assert watch.rates == pytest.approx(plain.rates)
    assert watch.validated == plain.validated == [4, 8]
    assert watch.batches == 16, "epochs of 3 batches: none ends on half accumulated gradients"


def test_clipping_bounds_each_step(make_module, data, trainer):
    schedule = Schedule(steps=4, learning_rate=1.0)
    distances = {}
    for bound in (None, 1e-3):
        module = make_module(schedule)
        module.build_optimizer = GroupedOptimizer(torch.optim.SGD, 1.0)
        start = module.model.next_item.detach().clone(), module.model.popularity.detach().clone()
        fit(module, data, partial(trainer, gradient_clip_val=bound), [], MONITOR, show_bar=False)
        moved = (module.model.next_item - start[0]).square().sum() + (module.model.popularity - start[1]).square().sum()
        distances[bound] = float(moved.detach().sqrt())
    assert 0 < distances[1e-3] <= 4 * 1.001e-3
    assert distances[None] > 10 * distances[1e-3]
