"""What a training may ask of the hardware: refused before anything is read, with what to do instead."""

from __future__ import annotations

import logging
import os

import torch
from omegaconf import DictConfig, OmegaConf

from divrec.errors import ConfigError, check_number
from divrec.run.door import check_one_device, check_one_node, names_one_device
from divrec.run.identity import choosing_processes

logger = logging.getLogger(__name__)

_PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
_ON_GPU = "16-mixed"  # half floats need the scaling of gradients, which torch has for GPUs
_SHARDED = "divrec.training.ShardedStrategy"


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
    if _shards(trainer):
        _check_sharding(config)
    check_number("trainer.num_nodes", trainer.get("num_nodes", 1), least=1, whole=True)
    if in_multirun:
        check_one_node(config)
        check_one_device(config)


def warn_of_own_choices(config: DictConfig) -> None:
    """Say where several processes train something else than one would."""
    if (processes := choosing_processes(config)) is not None:
        logger.warning(
            "tuning.table.live_texts=%d: each process (trainer.devices: %s) chooses as many texts of its own, so this "
            "run trains something else than one process would; null = no limit, and the same everywhere",
            config.tuning.table.live_texts,
            processes,
        )


def training_device(trainer: DictConfig) -> str:
    """The device on which this process trains, as torch names it."""
    if not _on_gpu(trainer):
        return "cpu"
    place = int(os.environ.get("LOCAL_RANK", "0"))  # Lightning's and torchrun's: of this process among its host's
    devices = list(trainer.devices) if OmegaConf.is_list(trainer.devices) else []
    return f"cuda:{devices[place] if place < len(devices) else place}"


def _check_sharding(config: DictConfig) -> None:
    trainer, strategy = config.trainer, _strategy(config.trainer)
    if strategy != _SHARDED:
        raise ConfigError(
            "cuts models into pieces in a way of its own, of which neither gradient norms nor weights can be kept",
            where="trainer.strategy",
            got=strategy,
            mend="Use trainer=fsdp.",
        )
    if not _on_gpu(trainer):
        raise ConfigError(
            "a model is spread over the memory of several GPUs, and here is none, or trainer.accelerator asks for none",
            where="trainer=fsdp",
            got=f"accelerator {trainer.accelerator}, {torch.cuda.device_count()} GPUs",
            mend="Use trainer=default, trainer=ddp for several processes, or a host with GPUs.",
        )
    if _is_alone(trainer):
        raise ConfigError(
            "one device has nothing to share a model with",
            where="trainer.devices",
            got=str(trainer.devices),
            mend="Use trainer=default, or more devices.",
        )
    if trainer.precision == _ON_GPU:
        raise ConfigError(
            "half floats are not scaled for weights in pieces",
            where="trainer.precision",
            got=_ON_GPU,
            mend="Use bf16-mixed or 32-true.",
        )
    _check_what_is_sharded(config)


def _check_what_is_sharded(config: DictConfig) -> None:
    """Parts that cannot work on pieces, or would wait for one another forever."""
    optimizer = str(OmegaConf.select(config, "optimizer.optimizer._target_"))
    if optimizer.endswith("Adafactor"):
        raise ConfigError(
            "needs rows and columns of whole matrices, and weights lie in pieces",
            where="optimizer",
            got=optimizer,
            mend="Use optimizer=adamw, adam or sgd, or trainer=ddp.",
        )
    if str(config.model.get("_target_")).endswith("CrossEncoder"):
        raise ConfigError(
            "reads another number of pairs on each device, but weights in pieces need all devices to run in step",
            where="model",
            got="cross_encoder",
            mend="Use trainer=ddp.",
        )
    if config.compile:
        raise ConfigError(
            "models in pieces are not compiled", where="compile", got=True, mend="Use compile=false, or trainer=ddp."
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


def _strategy(trainer: DictConfig) -> str:
    strategy = trainer.get("strategy", "auto")
    return strategy if isinstance(strategy, str) else str(strategy.get("_target_", ""))


def _shards(trainer: DictConfig) -> bool:
    name = _strategy(trainer)
    return name == _SHARDED or any(word in name.lower() for word in ("fsdp", "modelparallel", "deepspeed"))


def _is_alone(trainer: DictConfig) -> bool:
    takes_all = str(trainer.devices) in ("auto", "-1")
    return trainer.get("num_nodes", 1) == 1 and (
        torch.cuda.device_count() == 1 if takes_all else names_one_device(trainer.devices)
    )


def _on_gpu(trainer: DictConfig) -> bool:
    return torch.cuda.is_available() and trainer.accelerator in ("auto", "gpu", "cuda")
