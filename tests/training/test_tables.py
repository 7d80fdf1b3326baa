"""When a training has the vectors of its texts computed anew."""

from __future__ import annotations

from itertools import cycle

import pytest
import torch

from divrec.models import Lora, TableSettings
from divrec.training import Schedule, fit
from divrec.training.profile import StepProfiler
from divrec.training.tables import text_tables
from models.conftest import save_tiny
from training.sharded_shop import text_module
from training.shop import MONITOR

STEPS = Schedule(steps=7, learning_rate=0.05)  # one validation, at the end


@pytest.fixture
def make(data, tmp_path):
    """A module, and the steps that its table will say have begun when it is refreshed."""

    def tuned(refresh, beta=0.0):
        module = text_module(
            data, save_tiny(tmp_path / "bert", "bert"), Lora(table=TableSettings(refresh)), STEPS, beta
        )
        (table,) = text_tables(module).values()
        calls, refreshed = [], table.refresh

        def refresh_and_count():
            if module.training:
                calls.append(table.steps)
            refreshed()

        table.refresh = refresh_and_count
        return module, calls

    return tuned


@pytest.mark.parametrize("batches", [1, 2, 3])
@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize(("refresh", "begun"), [(2, [3, 5, 7]), (3, [4, 7]), ("never", []), ("live", [])])
def test_steps_count_neither_accumulated_batches_nor_those_that_measure_gradients(
    refresh, begun, beta, batches, make, data, trainer
):
    module, calls = make(refresh, beta)

    def build(**given):
        return trainer(**given, accumulate_grad_batches=batches)

    fit(module, data, build, [], MONITOR, show_bar=False)
    assert calls == begun


def test_a_profile_refreshes_as_often_as_a_training_does(make, data):
    module, calls = make(2)
    StepProfiler(module, cycle(data.train_dataloader()), torch.device("cpu")).phases(steps=4, warmup=1)
    assert calls == [3, 5]


@pytest.mark.parametrize("refresh", ["never", "epoch", 3])
def test_how_often_is_validated_changes_no_weight(refresh, data, trainer, tmp_path):
    plm = save_tiny(tmp_path / "bert", "bert")
    tuning = Lora(rank=2, table=TableSettings(refresh, live_texts=2))

    def trained(steps, every):
        schedule = Schedule(steps=steps, learning_rate=0.05, validate_every=every)
        module = text_module(data, plm, tuning, schedule, 0.0)
        torch.manual_seed(1)
        fit(module, data, trainer, [], MONITOR, show_bar=False)
        return {name: value.clone() for name, value in module.state_dict().items()}

    seldom, often = trained(7, None), trained(7, 1)
    assert all(torch.equal(seldom[name], often[name]) for name in seldom)
    assert any(not torch.equal(seldom[name], value) for name, value in trained(6, None).items()), "it learns"
