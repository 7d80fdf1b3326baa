"""Going on after a kill: whatever the step, the end is that of a training that was never stopped."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import nn

from divrec.errors import ConfigError
from divrec.objectives import BinaryCrossEntropy, ExposureGini, Simpson
from divrec.training import CHECKPOINT_FOLDER, Schedule, TrainingCheckpoint, fit
from training.shop import MONITOR

BOTH = {"simpson": Simpson, "gini": ExposureGini}
POINT = Schedule(steps=8, learning_rate=0.05, warmup=2, decay="linear", validate_every=4)
BASE = Schedule(steps=30, learning_rate=0.1, validate_every=2, patience=3)


class Killed(BaseException):
    """What no handler of the training catches."""


class Kill(TrainingCheckpoint):
    """Stops the process, so to say, as soon as the state after a step is on disk."""

    def __init__(self, *arguments, after, **settings) -> None:
        super().__init__(*arguments, **settings)
        self.after = after

    def _keep(self, trainer):
        super()._keep(trainer)
        if trainer.global_step == self.after:
            raise Killed


@pytest.fixture
def train(make_module, data, trainer, tmp_path):
    """Trains with dropout, sampled negatives and an exposure memory, from what lies in the run's folder."""

    def run(schedule, folder=None, after=None, **settings):
        torch.manual_seed(0)
        module = make_module(schedule, BOTH, 1.0)
        module.model = Dropped(module.model)
        module.objective.task = BinaryCrossEntropy(7)
        checkpoint = None
        if folder is not None:
            checkpoint = Kill(tmp_path / folder, "mine", minutes=0, after=after)

        def build(**given):
            return trainer(**given, **settings)

        fitted = fit(module, data, build, [], MONITOR, show_bar=False, checkpoint=checkpoint)
        return fitted, {name: tensor.clone() for name, tensor in module.state_dict().items()}

    return run


class Dropped(nn.Module):
    """A model whose scores depend on torch's own random generator in training."""

    def __init__(self, model) -> None:
        super().__init__()
        self.inner, self.dropout = model, nn.Dropout(0.3)

    def forward(self, batch):
        output = self.inner(batch)
        return type(output)(self.dropout(output.scores_QN))


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("schedule", [POINT, BASE], ids=["point", "base"])
@pytest.mark.parametrize("after", [1, 2, 3, 4, 6, 7])
def test_a_killed_training_ends_as_an_unbroken_one(schedule, after, train, tmp_path, caplog):
    """Epochs have 3 steps: mid-epoch, the end of one, right after a validation, and both at once are among them.

    The base's best weights are those of step 4; it stops early after step 10.
    """
    unbroken, wanted = train(schedule)
    with pytest.raises(Killed):
        train(schedule, "run", after)
    assert [path.name for path in (tmp_path / "run" / CHECKPOINT_FOLDER).iterdir()] == ["training.ckpt"]
    with caplog.at_level(logging.INFO):
        fitted, found = train(schedule, "run")
    assert f"goes on at step {after}" in caplog.text
    assert fitted.steps == unbroken.steps
    assert same(found, wanted)


def test_with_accumulated_gradients_too(train):
    _, wanted = train(POINT, accumulate_grad_batches=2)
    with pytest.raises(Killed):
        train(POINT, "run", 3, accumulate_grad_batches=2)
    _, found = train(POINT, "run", accumulate_grad_batches=2)
    assert same(found, wanted)


def test_checkpoints_and_validations_change_no_weight(train):
    _, plain = train(POINT)
    _, kept = train(POINT, "run")
    _, validated_more = train(Schedule(steps=8, learning_rate=0.05, warmup=2, decay="linear", validate_every=1))
    assert same(plain, kept)
    assert same(plain, validated_more)


def test_the_seconds_before_the_kill_count(train, tmp_path):
    with pytest.raises(Killed):
        train(POINT, "run", 6)
    file = tmp_path / "run" / CHECKPOINT_FOLDER / "training.ckpt"
    before = torch.load(file, weights_only=True)["divrec"]["seconds"]
    assert 0 < before < train(POINT, "run")[0].seconds


def test_the_state_of_another_run_is_not_gone_on_from(train, tmp_path, caplog):
    with pytest.raises(Killed):
        train(POINT, "run", 3)
    assert TrainingCheckpoint(tmp_path / "run", "mine").found() is not None
    assert TrainingCheckpoint(tmp_path / "run", "another").found() is None
    assert "starts anew" in caplog.text


@pytest.mark.parametrize("content", [b"", b"nope", None])
def test_a_broken_state_is_not_gone_on_from(content, train, tmp_path, caplog):
    with pytest.raises(Killed):
        train(POINT, "run", 3)
    file = tmp_path / "run" / CHECKPOINT_FOLDER / "training.ckpt"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    assert TrainingCheckpoint(tmp_path / "run", "mine").found() is None
    assert "cannot be read" in caplog.text


def test_nothing_is_found_where_nothing_is_and_nothing_left_where_the_run_is_finished(train, tmp_path):
    checkpoint = TrainingCheckpoint(tmp_path / "run", "mine")
    assert checkpoint.found() is None
    with pytest.raises(Killed):
        train(POINT, "run", 3)
    checkpoint.discard()
    assert list((tmp_path / "run").iterdir()) == []
    checkpoint.discard()


def test_states_are_rare(train, tmp_path, make_module, data, trainer):
    """A minute has not passed: no file was ever written."""
    checkpoint = TrainingCheckpoint(tmp_path / "run", "mine", minutes=1)
    fit(make_module(POINT), data, trainer, [], MONITOR, show_bar=False, checkpoint=checkpoint)
    assert not checkpoint.file.exists()


def test_negative_minutes_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="checkpoint_minutes"):
        TrainingCheckpoint(tmp_path, "mine", minutes=-1)
