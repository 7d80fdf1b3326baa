"""Going on after a kill in the middle of an epoch, where a language model is trained along."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from divrec.models import Full, Lora, TableSettings
from divrec.training import Schedule, fit
from models.conftest import WORDS, save_tiny
from training.sharded_shop import text_module
from training.shop import MONITOR
from training.test_checkpoint import Kill, Killed, same

TEXTS = [f"{first} {second}" for first in WORDS for second in WORDS[:4]]
SCHEDULE = Schedule(steps=8, learning_rate=0.05, validate_every=4)  # epochs have 3 steps
LORA = {"rank": 2, "dropout": 0.2, "cached_below_top": 2}


@pytest.fixture(scope="module")
def tiny_plm(tmp_path_factory):
    return save_tiny(tmp_path_factory.mktemp("plm") / "bert", "bert")


@pytest.fixture
def train(data, tiny_plm, trainer, tmp_path):
    """Trains with dropout everywhere and few live texts, from what lies in the run's folder."""

    def run(tuning, folder=None, after=None, **settings):
        module = text_module(data, tiny_plm, tuning, SCHEDULE, 1.0, TEXTS)
        for part in module.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.2
        torch.manual_seed(1)
        checkpoint = None if folder is None else Kill(tmp_path / folder, "mine", minutes=0, after=after)

        def build(**given):
            return trainer(**given, **settings)

        fit(module, data, build, [], MONITOR, show_bar=False, checkpoint=checkpoint)
        with torch.no_grad():
            vectors_ND = module.model.eval().item_tower()
        return {name: value.clone() for name, value in module.state_dict().items()} | {"vectors": vectors_ND}

    return run


@pytest.mark.parametrize("refresh", ["epoch", 3, "never", "live"])
def test_a_killed_training_ends_as_an_unbroken_one(refresh, train):
    tuning = Lora(**LORA, table=TableSettings(refresh, live_texts=3, chunk=2))
    wanted = train(tuning)
    for after in (1, 2, 4, 5):
        with pytest.raises(Killed):
            train(tuning, f"killed after {after}", after)
        assert same(train(tuning, f"killed after {after}"), wanted), after


@pytest.mark.parametrize("tuning", [Lora(**LORA), Full(TableSettings(3, live_texts=3))], ids=["cached", "full"])
def test_with_accumulated_gradients_too(tuning, train):
    wanted = train(tuning, accumulate_grad_batches=2)
    with pytest.raises(Killed):
        train(tuning, "run", 5, accumulate_grad_batches=2)
    assert same(train(tuning, "run", accumulate_grad_batches=2), wanted)


def test_the_table_and_the_limit_matter_here(train):
    """Or the tests above could not fail."""
    ends = [
        train(Lora(**LORA, table=TableSettings(refresh, live_texts=live))) for refresh, live in [(3, 3), (3, 4), (2, 3)]
    ]
    assert not any(same(one, other) for one, other in zip(ends, [*ends[1:], ends[0]], strict=True))
