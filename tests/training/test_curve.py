"""The curve: rows at validations and, where there are none, in between; the same file after a kill."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from divrec.objectives import ExposureGini, Simpson
from divrec.schema import CURVE_FILE
from divrec.training import Schedule, TrainingCheckpoint, fit
from training.shop import MONITOR, Log

BOTH = {"simpson": Simpson, "gini": ExposureGini}
POINT = Schedule(steps=120, learning_rate=0.05)
SHORT = Schedule(steps=7, learning_rate=0.05)
UNEVEN = Schedule(steps=8, learning_rate=0.05, validate_every=3)
BASE = Schedule(steps=30, learning_rate=0.1, validate_every=2, patience=3)


class Killed(BaseException):
    """What no handler of the training catches."""


class Kill(TrainingCheckpoint):
    """Stops the training as soon as the state after a step is on disk, or `later` steps after that."""

    def __init__(self, *arguments, after, later=0) -> None:
        super().__init__(*arguments, minutes=0)
        self.after, self.later = after, later

    def _keep(self, trainer):
        if self.after is None or trainer.global_step <= self.after:
            super()._keep(trainer)
        if self.after is not None and trainer.global_step == self.after + self.later:
            raise Killed


@pytest.fixture
def train(make_module, data, trainer, tmp_path):
    """Trains in a folder of that name and returns the loss of each batch and what was logged."""

    def run(schedule, folder="run", after=None, later=0, **settings):
        torch.manual_seed(0)
        log, module, totals = Log(), make_module(schedule, BOTH, 1.0), []

        def watched(batch):
            terms = type(module).terms(module, batch)
            totals.append(float(terms["total"]))
            return terms

        module.terms = watched
        checkpoint = Kill(tmp_path / folder, "mine", after=after, later=later)
        fit(
            module,
            data,
            lambda **given: trainer(**given, **settings),
            [log],
            MONITOR,
            show_bar=False,
            checkpoint=checkpoint,
        )
        return totals, log.rows

    return run


@pytest.fixture
def curve_of(tmp_path):
    def read(folder="run"):
        return pd.read_csv(tmp_path / folder / CURVE_FILE).set_index("step")

    return read


def test_a_validation_is_a_row_with_the_mean_loss_since_the_one_before(train, curve_of):
    total, logged = train(UNEVEN)
    curve = curve_of()
    assert list(curve.index) == [3, 6, 8]
    assert len(total) == 8
    wanted = [sum(part) / len(part) for part in (total[:3], total[3:6], total[6:])]
    assert curve["loss/total"].tolist() == pytest.approx(wanted, rel=1e-5)
    validated = [row[MONITOR] for _, row in logged if MONITOR in row]
    assert curve[MONITOR].dropna().tolist() == pytest.approx(validated, rel=1e-5)
    assert curve[MONITOR].isna().tolist() == [False, False, True], "no validation comes after the eighth step"
    assert {"loss/task", "loss/diversity/gini", "loss/weighted/simpson", "gradient/outside_top_k"} <= set(curve.columns)


def test_a_training_that_is_validated_once_has_rows_of_the_loss_in_between(train, curve_of):
    total, _ = train(POINT)
    curve = curve_of()
    assert list(curve.index) == list(range(3, 121, 3))
    assert curve[MONITOR].notna().sum() == 1
    assert curve[MONITOR].notna().iloc[-1]
    assert curve["loss/total"].mean() == pytest.approx(sum(total) / 120, rel=1e-5)
    assert curve["loss/total"].iloc[-1] < curve["loss/total"].iloc[0]


def test_a_short_one_has_a_row_a_step(train, curve_of):
    total, _ = train(SHORT)
    assert list(curve_of().index) == list(range(1, 8))
    assert curve_of()["loss/total"].tolist() == pytest.approx(total, rel=1e-5)


def test_accumulated_gradients_are_one_step(train, curve_of):
    total, _ = train(SHORT, accumulate_grad_batches=2)
    assert list(curve_of().index) == list(range(1, 8))
    wanted = [(one + other) / 2 for one, other in zip(total[::2], total[1::2], strict=True)]
    assert curve_of()["loss/total"].tolist() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("schedule", "after", "later"),
    [(SHORT, 1, 0), (SHORT, 2, 3), (UNEVEN, 2, 3), (UNEVEN, 3, 0), (BASE, 3, 2), (BASE, 6, 1)],
)
def test_after_a_kill_the_file_is_that_of_an_unbroken_training(schedule, after, later, train, tmp_path):
    """With `later` the killed training has written rows that the one that goes on from its state has to write anew."""
    train(schedule, "unbroken")
    with pytest.raises(Killed):
        train(schedule, "killed", after, later)
    train(schedule, "killed")
    wanted = (tmp_path / "unbroken" / CURVE_FILE).read_text()
    assert wanted.count("\n") > 3
    assert (tmp_path / "killed" / CURVE_FILE).read_text() == wanted


def test_a_training_that_starts_anew_writes_its_curve_anew(train, tmp_path, curve_of):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / CURVE_FILE).write_text("step,loss/total\n99999,1.0\n")
    train(SHORT)
    assert 99999 not in curve_of().index


def test_without_a_folder_there_is_no_curve(make_module, data, trainer, tmp_path):
    fit(make_module(SHORT), data, trainer, [], MONITOR, show_bar=False)
    assert not list(tmp_path.rglob(CURVE_FILE))
