"""What a training may ask of the hardware: refused before anything is read, with what to do instead."""

from __future__ import annotations

import torch
from omegaconf import DictConfig, OmegaConf

from divrec.errors import ConfigError, check_number

_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
_ON_GPU = "16-mixed"  # half floats need the scaling of gradients, which torch has for GPUs


def check_hardware(config: DictConfig, in_multirun: bool) -> None:
    """Refuse devices, strategies and precisions that do not work, or that would train something else without a word.

    Args:
        config: of the run.
        in_multirun: whether this process runs several jobs of a sweep.

    Raises:
        ConfigError: see the messages.
    """
    trainer = config.trainer
    check_number("trainer.accumulate_grad_batches", trainer.accumulate_grad_batches, least=1, whole=True)
    if trainer.gradient_clip_val is not None:
        check_number("trainer.gradient_clip_val", trainer.gradient_clip_val, above=0)
    if not isinstance(config.compile, bool):
        raise ConfigError("must be true or false", where="compile", got=config.compile)
    _check_precision(trainer)
    if in_multirun and not _is_one(trainer.devices):
        raise ConfigError(
            "a sweep inside one process cannot train on several devices: each device's process would start the whole "
            "sweep again",
            where="trainer.devices",
            got=OmegaConf.to_container(trainer).get("devices"),  # type: ignore[union-attr]
            mend="Add hydra/launcher=processes, which starts every point as a program of its own, or set "
            "trainer.devices=1.",
        )
    if _shards(trainer):
        raise ConfigError(
            "models that lie in pieces on several devices are not supported: gradient norms are measured, and weights "
            "kept, on whole ones",
            where="trainer.strategy",
            got=OmegaConf.to_container(trainer).get("strategy"),  # type: ignore[union-attr]
            mend="Use trainer=ddp, or a tuning that trains less of the language model.",
        )


def _check_precision(trainer: DictConfig) -> None:
    if trainer.precision not in _PRECISIONS:
        raise ConfigError(
            "no such precision", where="trainer.precision", got=trainer.precision, mend=f"Use {', '.join(_PRECISIONS)}."
        )
    if trainer.precision == _ON_GPU and not _on_gpu(trainer):
        raise ConfigError(
            "half floats need a GPU", where="trainer.precision", got=_ON_GPU, mend="Use bf16-mixed or 32-true."
        )


def _shards(trainer: DictConfig) -> bool:
    strategy = trainer.get("strategy", "auto")
    name = strategy if isinstance(strategy, str) else str(strategy.get("_target_", ""))
    return "fsdp" in name.lower() or "ModelParallel" in name


def _is_one(devices: object) -> bool:
    return str(devices) == "1" or (OmegaConf.is_list(devices) and len(devices) == 1)  # type: ignore[arg-type]


def _on_gpu(trainer: DictConfig) -> bool:
    return torch.cuda.is_available() and trainer.accelerator in ("auto", "gpu", "cuda")
