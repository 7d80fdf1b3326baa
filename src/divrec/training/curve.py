"""The course of a training as a file beside its record, whatever loggers there are: RUN/curve.csv.

A column "step" (optimizer steps done) and one for each logged name. A row at each validation holds its values and the
mean of every loss term since the row before; a training that is validated once only gets rows of the loss in between.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from divrec.storage import write_text
from divrec.training.position import validates_next

STEP = "step"
ROWS = 50  # of a training without validations in between
_EACH_STEP = ("loss/", "gradient/")
_VALIDATED = "validation/"


class TrainingCurve(Callback):
    """Writes the curve, whole at each row, so that a killed training leaves one that can be read.

    Its rows travel in the training's checkpoint: a training that goes on drops what was written after the state that it
    goes on from, and ends in the file of one that was never stopped. The first process writes.

    Args:
        file: where the curve goes.
        steps: of the training, at most.
        interval: steps between validations.
    """

    def __init__(self, file: Path, steps: int, interval: int) -> None:
        self.file = file
        self._every = interval if interval < steps else -(-steps // ROWS)
        self._rows: dict[int, dict[str, float]] = {}
        self._sums: dict[str, Tensor | float] = {}
        self._batches = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Add up the loss; values stay on their device until a row is due."""
        for name, value in trainer.callback_metrics.items():
            if name.startswith(_EACH_STEP):
                self._sums[name] = self._sums.get(name, 0.0) + value.detach().float()
        self._batches += 1
        step = trainer.global_step  # stands still while gradients accumulate
        if step > 0 and step % self._every == 0 and step not in self._rows and not validates_next(trainer):
            self._add_row(trainer, {})

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A row with what was validated."""
        if not trainer.sanity_checking:
            found = {key: float(v) for key, v in trainer.callback_metrics.items() if key.startswith(_VALIDATED)}
            self._add_row(trainer, found)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A row for the steps after the last one."""
        if self._batches:
            self._add_row(trainer, {})

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        sums = {name: float(value) for name, value in self._sums.items()}
        return {"rows": self._rows, "sums": sums, "batches": self._batches}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From a checkpoint."""
        self._rows, self._sums, self._batches = state_dict["rows"], state_dict["sums"], state_dict["batches"]

    def _add_row(self, trainer: pl.Trainer, validated: dict[str, float]) -> None:
        means = {name: float(value) / self._batches for name, value in self._sums.items() if self._batches}
        self._rows.setdefault(trainer.global_step, {}).update(means | validated)
        self._sums, self._batches = {}, 0
        if trainer.is_global_zero:
            write_text(self.file, _table(self._rows))


def _table(rows: dict[int, dict[str, float]]) -> str:
    names = sorted({name for row in rows.values() for name in row})
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([STEP, *names])
    for step, row in rows.items():
        table.writerow([step, *(f"{row[name]:.7g}" if name in row else "" for name in names)])
    return text.getvalue()
