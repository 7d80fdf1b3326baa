"""What trains on the CPU trains on a GPU, to the same end up to rounding. Skipped where torch has no GPU."""

from __future__ import annotations

from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from divrec.models import Full, Lora, Runtime, TableSettings, TextEncoder, TopLayers
from divrec.training import Schedule, TrainingCheckpoint, fit
from divrec.training.compilation import compile_in_place
from models.conftest import FAMILIES, WORDS, save_tiny
from training.sharded_shop import text_module
from training.shop import MONITOR, Log
from training.test_checkpoint import Kill, Killed

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch has no GPU here")
SCHEDULE = Schedule(steps=8, learning_rate=0.02, validate_every=4)  # epochs have 3 steps
TUNINGS = {
    "full": Full(TableSettings("epoch", live_texts=3)),
    "live": Full(TableSettings("live", live_texts=None)),
    "cached": Lora(rank=2, cached_below_top=2),
    "top": TopLayers(2),
}


@pytest.fixture(scope="module")
def tiny_plm(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("plm") / "bert", "bert")


@pytest.fixture
def train(data, tiny_plm, tmp_path):
    """What a training under L + R logs and ends in."""

    def run(accelerator, tuning, after=None, folder=None, dropout=0.0, compiled=False, **settings) -> dict[str, Any]:
        module, log = text_module(data, tiny_plm, tuning, SCHEDULE, 1.0), Log()
        for part in module.modules():
            if isinstance(part, nn.Dropout):
                part.p = dropout
        if compiled:
            compile_in_place(module.model)
        torch.manual_seed(1)
        kind = TrainingCheckpoint if after is None else lambda *a, **k: Kill(*a, **k, after=after)
        checkpoint = None if folder is None else kind(tmp_path / folder, "mine", minutes=0)

        def build(**given):
            return pl.Trainer(accelerator=accelerator, devices=1, log_every_n_steps=1, **given, **settings)

        fit(module, data, build, [log], MONITOR, show_bar=False, checkpoint=checkpoint)
        weights = {name: value.detach().cpu() for name, value in module.state_dict().items()}
        return weights | {f"{step}/{key}": torch.tensor(v) for step, row in log.rows for key, v in row.items()}

    return run


def check_close(one: dict[str, Any], other: dict[str, Any], rtol: float = 1e-3, atol: float = 1e-4) -> None:
    """Weights and losses up to rounding; metrics of lists as far as swapped near-ties of a few users move them."""
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(
            one[name].double(),
            other[name].double(),
            rtol=rtol,
            atol=0.02 if "/validation/" in name else atol,
            equal_nan=True,
            msg=lambda text, name=name: f"{name}: {text}",
        )


@pytest.mark.parametrize("tuning", TUNINGS.values(), ids=TUNINGS)
def test_a_training_ends_as_on_the_cpu(tuning, train):
    check_close(train("gpu", tuning), train("cpu", tuning))


@pytest.mark.parametrize("after", [2, 5])
def test_a_killed_training_goes_on_with_the_gpus_own_dropout(after, train):
    tuning = TUNINGS["full"]
    wanted = train("gpu", tuning, dropout=0.2)
    with pytest.raises(Killed):
        train("gpu", tuning, after, "run", dropout=0.2)
    found = train("gpu", tuning, folder="run", dropout=0.2)
    check_close(found, {name: wanted[name] for name in found})  # the steps before the kill are logged by the first


def test_half_precision_stays_near_single(train):
    single, half = (train("gpu", TUNINGS["full"], precision=precision) for precision in ("32-true", "bf16-mixed"))
    losses = [name for name in single if name.endswith("loss/task")]
    assert losses
    for number, name in enumerate(losses):  # the first comes before any step; from there on errors add up
        torch.testing.assert_close(half[name], single[name], rtol=0.05 if number else 0.01, atol=0.0)


@pytest.mark.slow  # inductor compiles kernels
def test_a_compiled_training_ends_as_one_that_is_not(train):
    check_close(train("gpu", TUNINGS["cached"], compiled=True), train("gpu", TUNINGS["cached"]))


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_are_encoded_as_on_the_cpu(family, tmp_path):
    folder = str(save_tiny(tmp_path / family, family))
    gpu, cpu = (TextEncoder(folder, runtime=Runtime(device=device)).encode(WORDS) for device in ("cuda", "cpu"))
    torch.testing.assert_close(gpu.cpu(), cpu, rtol=1e-4, atol=1e-4)
