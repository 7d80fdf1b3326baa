"""Going on where a killed training stopped: all that the next step depends on, in one file, whole or not there.

In it: weights, exposure memories and gradient ratios, optimizer and schedule, counters of steps and epochs, best
weights and early stopping, and the state of every random generator of every process. Batches need none: each is a pure
function of its number. Only tensors, numbers, strings and their containers, so that it loads with `weights_only=True`.
"""

from __future__ import annotations

import logging
import pickle
import shutil
import time
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from divrec.errors import check_number
from divrec.storage import replacing
from divrec.training.position import batches_done, validates_next
from divrec.training.tables import text_tables

logger = logging.getLogger(__name__)

CHECKPOINT_FOLDER = "checkpoint"
_FILE = "training.ckpt"
_KEY = "divrec"
_SHARE = 0.01  # of the training's time that checkpoints may take


class TrainingCheckpoint(Callback):
    """Keeps the latest state of a training in RUN/checkpoint, and finds it again.

    A training that goes on from it ends in the same weights, bit for bit on CPU, as one that was never stopped.

    Args:
        run: folder of the run.
        identity: of the run; a state of another identity is not gone on from.
        minutes: between two states, at least; rarer where writing one takes so long that it would cost more than 1 %
            of the training's time. 0 = after every step, whatever it costs.

    Attributes:
        run: folder of the run.
        seconds_before: what earlier processes have spent on this training.
    """

    def __init__(self, run: Path, identity: str, minutes: float = 1.0) -> None:
        check_number("checkpoint_minutes", minutes, least=0)
        self.run, self.file = run, run / CHECKPOINT_FOLDER / _FILE
        self._identity, self._minutes = identity, minutes
        self.seconds_before = 0.0
        self._states: dict[str, Tensor] = {}
        self._started = self._saved = time.perf_counter()
        self._cost = 0.0

    def found(self) -> Path | None:
        """The state to go on from, or None; says why one that is there cannot be used."""
        if not self.file.is_file():
            return None
        try:
            known = torch.load(self.file, weights_only=True, mmap=True, map_location="cpu")[_KEY]
        except (RuntimeError, OSError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
            lines = str(error).splitlines() or [type(error).__name__]
            logger.warning("%s cannot be read (%s): the training starts anew", self.file, lines[0])
            return None
        if (known["identity"], known["versions"]) != (self._identity, _versions()):
            logger.warning("%s belongs to other settings, data, code or versions: the training starts anew", self.file)
            return None
        logger.info("goes on at step %d, where %s was left", known["step"], self.file.parent.parent)
        return self.file

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock."""
        self._started = self._saved = time.perf_counter()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the random generators back: what was drawn while the program started does not count."""
        if self._states:
            _restore(self._states, pl_module, trainer.global_rank)
            self._states = {}

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Keep the state, unless gradients are half accumulated or a validation comes first."""
        if batches_done(trainer) % trainer.accumulate_grad_batches == 0 and not validates_next(trainer):
            self._keep(trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep the state, unless this was the last validation."""
        if not trainer.sanity_checking and not trainer.should_stop:
            self._keep(trainer)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what Lightning does not know of."""
        checkpoint[_KEY] = {
            "identity": self._identity,
            "versions": _versions(),
            "step": trainer.global_step,
            "seconds": self.seconds_before + time.perf_counter() - self._started,
            "generators": {name: _of_all_processes(state, trainer) for name, state in _states(pl_module).items()},
            "tables": {name: table.snapshot() for name, table in text_tables(pl_module).items()},
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Remember it until the training starts."""
        known = checkpoint[_KEY]
        self.seconds_before, self._states = known["seconds"], known["generators"]
        for name, table in text_tables(pl_module).items():
            table.restore(known["tables"][name])

    def discard(self) -> None:
        """Forget the state: the run is finished."""
        shutil.rmtree(self.file.parent, ignore_errors=True)

    def _keep(self, trainer: pl.Trainer) -> None:
        now = time.perf_counter()
        is_due = self._minutes == 0 or now - self._saved >= max(60 * self._minutes, self._cost / _SHARE)
        if trainer.world_size > 1:
            is_due = trainer.strategy.reduce_boolean_decision(is_due, all=False)
        if not is_due:
            return
        with replacing(self.file) if trainer.is_global_zero else nullcontext(self.file) as temporary:
            trainer.save_checkpoint(temporary, weights_only=False)
        self._saved = time.perf_counter()
        self._cost = self._saved - now


def _versions() -> list[str]:
    return [version("torch"), version("pytorch-lightning")]


def _generators(module: nn.Module) -> dict[str, torch.Generator]:
    """Every random generator that a part of the module keeps as an attribute, by the part's dotted name and its own."""
    return {
        f"{name}.{attribute}": value
        for name, part in module.named_modules()
        for attribute, value in vars(part).items()
        if isinstance(value, torch.Generator)
    }


def _states(module: pl.LightningModule) -> dict[str, Tensor]:
    states = {name: generator.get_state() for name, generator in _generators(module).items()}
    states["cpu"] = torch.get_rng_state()
    if module.device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(module.device)
    return states


def _of_all_processes(state: Tensor, trainer: pl.Trainer) -> Tensor:
    """(processes, bytes): dropout and samples of different sizes move the processes' generators apart."""
    if trainer.world_size == 1:
        return state.unsqueeze(0)
    gathered = trainer.strategy.all_gather(state.to(trainer.strategy.root_device))
    assert isinstance(gathered, Tensor)
    return gathered.cpu()


def _restore(states: dict[str, Tensor], module: pl.LightningModule, rank: int) -> None:
    # A copy: torch reads a generator's state from the start of its storage, where a row of a table does not lie.
    mine = {name: rows[min(rank, len(rows) - 1)].cpu().clone() for name, rows in states.items()}
    for name, generator in _generators(module).items():
        generator.set_state(mine[name])
    torch.set_rng_state(mine["cpu"])
    if module.device.type == "cuda" and "cuda" in mine:
        torch.cuda.set_rng_state(mine["cuda"], module.device)
