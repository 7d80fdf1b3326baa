"""Fitting: the Trainer around the module, best or last weights."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
from lightning_utilities.core.rank_zero import rank_zero_only
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.loggers import Logger
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor

from divrec.schema import CURVE_FILE
from divrec.training.checkpoint import TrainingCheckpoint
from divrec.training.curve import TrainingCurve
from divrec.training.module import RecommenderModule
from divrec.training.sharding import load_whole, put_together, whole_weights

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Fitted:
    """What a training has come to.

    Attributes:
        steps: optimizer steps behind the weights that were kept.
        seconds: spent, before an interruption and after it.
        leads: whether this process goes on with the run; False = it has only helped another one to train.
    """

    steps: int
    seconds: float
    leads: bool


class BestWeights(Callback):
    """Keeps the weights of the best validation in memory and puts them back at the end.

    Args:
        monitor: logged name; higher is better.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor
        self.best: float | None = None
        self.step = 0
        self._weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remember the weights if they are better than any before."""
        if trainer.sanity_checking:
            return
        value = float(trainer.callback_metrics[self.monitor])
        if self.best is None or value > self.best:
            self.best, self.step = value, trainer.global_step
            self._weights = {name: _kept(tensor) for name, tensor in pl_module.state_dict().items()}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the best weights back."""
        if self._weights:
            load_whole(pl_module, self._weights)

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"best": self.best, "step": self.step, "weights": put_together(self._weights)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.best, self.step, self._weights = state_dict["best"], state_dict["step"], state_dict["weights"]


class ProgressLines(Callback):
    """One log line a validation, for terminals and logs alike.

    Args:
        monitor: logged name to show.
    """

    def __init__(self, monitor: str) -> None:
        self.monitor = monitor

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say where the training stands."""
        if trainer.sanity_checking:
            return
        shown = trainer.callback_metrics
        total = f"{float(shown['loss/total']):.4f}" if "loss/total" in shown else "-"
        logger.info("step %d: loss %s, %s %.4f", trainer.global_step, total, self.monitor, float(shown[self.monitor]))


def fit(
    module: RecommenderModule,
    datamodule: pl.LightningDataModule,
    trainer: Callable[..., pl.Trainer],
    loggers: Sequence[Logger],
    monitor: str,
    show_bar: bool,
    checkpoint: TrainingCheckpoint | None = None,
) -> Fitted:
    """Train the module in place, from where an interrupted training of the same run was left if there is one.

    Args:
        module: what to train.
        datamodule: gives training and validation batches.
        trainer: the configured Trainer, lacking length, loggers and callbacks.
        loggers: where per-step values go.
        monitor: logged validation value that early stopping watches; higher is better.
        show_bar: Lightning's progress bar.
        checkpoint: keeps the state of the training for the case that it is killed, and its curve in the run's folder;
            None = it would start anew, and keeps no curve.
    """
    started = time.perf_counter()
    schedule, model = module.schedule, module.model
    best = BestWeights(monitor)
    callbacks: list[Callback] = [ProgressLines(monitor)]
    if schedule.patience is not None:
        callbacks += [EarlyStopping(monitor, mode="max", patience=schedule.patience), best]
    if checkpoint is not None:
        curve = TrainingCurve(checkpoint.run / CURVE_FILE, schedule.steps, schedule.interval)
        callbacks += [curve, checkpoint]  # last: it keeps what the others have decided
    built = trainer(
        max_steps=schedule.steps,
        val_check_interval=schedule.interval,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        logger=list(loggers),
        enable_checkpointing=False,
        enable_progress_bar=show_bar,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    # Lightning counts batches here, a schedule optimizer steps.
    built.val_check_interval = schedule.interval * built.accumulate_grad_batches
    found = None if checkpoint is None else checkpoint.found()
    built.fit(module, datamodule=datamodule, ckpt_path=found, weights_only=True)
    if built.interrupted:
        raise KeyboardInterrupt
    if module.model is not model:  # the copy that was trained lies in pieces
        model.load_state_dict(whole_weights(module.model))
        module.model = model
    _part(datamodule)
    before = 0.0 if checkpoint is None else checkpoint.seconds_before
    return Fitted(
        steps=best.step if schedule.stops_early else built.global_step,
        seconds=before + time.perf_counter() - started,
        leads=leads(),
    )


def _kept(tensor: Tensor) -> Tensor:
    """A copy out of the device's memory; a piece, of which each device has its own, stays there."""
    return tensor.detach().clone() if isinstance(tensor, DTensor) else tensor.detach().cpu().clone()


def leads() -> bool:
    """Whether this process is the only one of its run, or the first of several that train it together."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)


def _part(datamodule: pl.LightningDataModule) -> None:
    """End the work of several processes on one training: what follows, the first one does with all the data."""
    datamodule.trainer = None
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
