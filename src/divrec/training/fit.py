"""Fitting: the Trainer around the module, best or last weights, weights on disk as safetensors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.loggers import Logger
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from divrec.errors import ConfigError, RecordError
from divrec.storage import replacing
from divrec.training.module import RecommenderModule

logger = logging.getLogger(__name__)

WEIGHTS_FILE = "model.safetensors"


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
            self._weights = {name: tensor.detach().cpu().clone() for name, tensor in pl_module.state_dict().items()}

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put the best weights back."""
        if self._weights:
            pl_module.load_state_dict(self._weights)


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
) -> int:
    """Train the module in place.

    Args:
        module: what to train.
        datamodule: gives training and validation batches.
        trainer: the configured Trainer, lacking length, loggers and callbacks.
        loggers: where per-step values go.
        monitor: logged validation value that early stopping watches; higher is better.
        show_bar: Lightning's progress bar.

    Returns:
        The steps behind the weights that were kept.
    """
    schedule = module.schedule
    best = BestWeights(monitor)
    callbacks: list[Callback] = [ProgressLines(monitor)]
    if schedule.patience is not None:
        callbacks += [EarlyStopping(monitor, mode="max", patience=schedule.patience), best]
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
    built.fit(module, datamodule=datamodule)
    if built.interrupted:
        raise KeyboardInterrupt
    return best.step if schedule.stops_early else built.global_step


def save_weights(model: nn.Module, folder: Path) -> None:
    """Write the model's own weights (a frozen language model is not among them) to FOLDER/model.safetensors."""
    with replacing(folder / WEIGHTS_FILE) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}, temporary)


def load_weights(model: nn.Module, folder: Path) -> None:
    """Load FOLDER/model.safetensors into a model of the same shape.

    Raises:
        RecordError: if the file is missing or broken.
        ConfigError: if its weights belong to another model.
    """
    file = folder / WEIGHTS_FILE
    if not file.is_file():
        raise RecordError("no weights here", where=str(file), mend="Train the run first, or mend init_from.")
    try:
        weights: dict[str, Any] = load_file(file)
    except (SafetensorError, OSError) as error:
        raise RecordError(
            f"the weights cannot be read ({error})", where=str(file), mend="Delete the run's folder and train it again."
        ) from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(
            f"the weights belong to another model ({str(error).splitlines()[-1].strip()})",
            where="init_from",
            got=str(folder),
            mend="Use the same model, user, tuning and data as the run it came from.",
        ) from error
