"""The way in: where the configuration lies, and how a user's mistake leaves (one message, exit code 1)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.errors import CompactHydraException, InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from divrec.errors import ConfigError, DivrecError, check_number
from divrec.schema import KINDS

_PACKAGE = Path(__file__).resolve().parents[1]
# An installed wheel carries conf/ inside the package; a checkout has it at the top.
CONF = str(next(path for path in (_PACKAGE / "conf", _PACKAGE.parents[1] / "conf") if path.is_dir()))


class UserMistake(CompactHydraException):
    """Hydra prints this without a traceback; HYDRA_FULL_ERROR=1 shows all of it."""


def friendly(job: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    """Let a user's mistake leave a Hydra job as one message."""

    @functools.wraps(job)
    def wrapped(config: DictConfig) -> None:
        try:
            job(config)
        except DivrecError as error:
            raise UserMistake(f"{type(error).__name__}: {error}") from error
        except OmegaConfBaseException as error:
            raise UserMistake(f"ConfigError: {error}") from error

    return wrapped


def build(node: DictConfig, **given: Any) -> Any:  # noqa: ANN401 - whatever `_target_` names
    """Instantiate a config node; what is wrong with it becomes a `ConfigError` that names the key.

    Args:
        node: a node with a `_target_`.
        **given: arguments that only the program knows.
    """
    try:
        return instantiate(node, **given)
    except InstantiationException as error:
        where = str(node._get_full_key(None))
        raise _mistake(error.__cause__ or error, where, node.get("_target_")) from error


def call(partial: Callable[..., Any], where: str, *arguments: Any, **given: Any) -> Any:  # noqa: ANN401
    """Call what a `_partial_` node gave; arguments that it does not take become a `ConfigError` that names the key."""
    try:
        return partial(*arguments, **given)
    except DivrecError:
        raise
    except Exception as error:
        # Whatever a constructor says to configured values: the user's to mend. HYDRA_FULL_ERROR=1 shows all of it.
        raise _mistake(error, where, None) from error


def _mistake(error: BaseException, where: str, got: object) -> DivrecError:
    if isinstance(error, DivrecError):
        return error
    return ConfigError(str(error).splitlines()[0], where=where, got=got, mend="Check the keys of this group.")


def required(config: DictConfig, key: str, mend: str) -> str:
    """The value of a key that has to be given.

    Raises:
        ConfigError: if it is missing.
    """
    if OmegaConf.is_missing(config, key):
        raise ConfigError("has to be given", where=key, mend=mend)
    return str(config[key])


def check_dials(config: DictConfig) -> None:
    """Refuse root keys that make no sense, before anything heavy is loaded.

    Raises:
        ConfigError: see the messages.
    """
    check_number("beta", config.beta, least=0)
    check_number("k", config.k, least=1, whole=True)
    check_number("seed", config.seed, least=0, whole=True)
    check_number("threads", config.threads, least=1, whole=True)
    check_number("ranking_chunk", config.ranking_chunk, least=1, whole=True)
    _check_list_sizes(config)
    for key in ("exclude_seen", "spare_new", "compare_seen"):
        if not isinstance(config[key], bool):
            raise ConfigError("must be true or false", where=key, got=config[key])
    _check_compare_seen(config)
    if config.init_from is not None and not isinstance(config.init_from, str):
        raise ConfigError("must be the folder of a run, or null", where="init_from", got=config.init_from)
    if config.kind is not None and config.kind not in KINDS:
        raise ConfigError("no such kind", where="kind", got=config.kind, mend=f"Use {', '.join(KINDS)}, or null.")
    if config.beta_scale not in ("gradient", "raw"):
        raise ConfigError("no such scale", where="beta_scale", got=config.beta_scale, mend="Use gradient or raw.")
    if config.beta > 0 and not config.diversity:
        raise ConfigError(
            "there is no regularizer for it to weigh",
            where="beta",
            got=config.beta,
            mend="Add diversity=gini (or another of conf/diversity), or set beta=0.",
        )


def _check_compare_seen(config: DictConfig) -> None:
    """Refuse it where it would change nothing, or teach what no list may hold."""
    if not config.compare_seen:
        return
    if not config.exclude_seen:
        raise ConfigError(
            "changes nothing where exclude_seen=false: seen items are compared with anyway",
            where="compare_seen",
            got=True,
            mend="Set it to false.",
        )
    if OmegaConf.select(config, "data.preparation.repeats") == "keep":
        raise ConfigError(
            "data.preparation.repeats=keep makes targets of seen items, which exclude_seen=true keeps out of lists",
            where="compare_seen",
            got=True,
            mend="Set data.preparation.repeats=first; to recommend repeats, exclude_seen=false compare_seen=false.",
        )


def list_sizes(config: DictConfig) -> list[int]:
    """Lengths of the lists that are measured: `k`, or those of `metrics.k`."""
    sizes = config.get("metrics", {}).get("k", config.k)
    return list(sizes) if OmegaConf.is_list(sizes) else [sizes]


def _check_list_sizes(config: DictConfig) -> None:
    sizes = list_sizes(config)
    for size in sizes:
        check_number("metrics.k", size, least=1, whole=True)
    if config.k not in sizes:
        raise ConfigError(
            f"k = {config.k} items are delivered, and lists of that length are not measured",
            where="metrics.k",
            got=sizes,
            mend=f"Add it: metrics.k=[{','.join(map(str, sorted({*sizes, config.k})))}]; or set k.",
        )


def check_tuning(config: DictConfig) -> None:
    """Refuse a tuning that the model would not look at: its run would be recorded as tuned and train nothing of it.

    Baselines pass, which stand beside the tuned runs of a sweep and train nothing at all.

    Raises:
        ConfigError: see the message.
    """
    tuning, model = str(config.tuning.get("_target_")), config.model
    if tuning.endswith(".Frozen"):
        return
    if str(model.get("_target_")).endswith(".CrossEncoder"):
        raise ConfigError(
            "a cross encoder trains its language model by itself",
            where="tuning",
            got=tuning,
            mend="Use tuning=frozen, and model.trained_layers for how many layers it trains.",
        )
    if model.get("representation") == "id":
        raise ConfigError(
            "this model reads no text, so nothing of a language model can be trained with it",
            where="tuning",
            got=tuning,
            mend="Use tuning=frozen, or model.representation=text or text_id.",
        )


def names_one_device(devices: object) -> bool:
    """Whether a value of `trainer.devices` means one device on every host."""
    return str(devices) == "1" or (OmegaConf.is_list(devices) and len(devices) == 1)  # type: ignore[arg-type]


def check_one_device(config: DictConfig) -> None:
    """Refuse a run of a sweep that asks for several devices and is no program of its own.

    Raises:
        ConfigError: see the message.
    """
    if names_one_device(config.trainer.devices):
        return
    raise ConfigError(
        "a run of a sweep trains on one device: for several, each device's process would start the whole sweep again",
        where="trainer.devices",
        got=OmegaConf.to_container(config.trainer).get("devices"),  # type: ignore[union-attr]
        mend="Add hydra/launcher=processes, which starts every point as a program of its own on one host; on Slurm, "
        "queue each point as a plain run: srun python -m divrec.run.train hydra.run.dir=FOLDER; or set "
        "trainer.devices=1.",
    )


def check_one_node(config: DictConfig) -> None:
    """Refuse a run of a sweep that asks for several nodes: no launcher starts one run on more than one.

    Raises:
        ConfigError: see the message.
    """
    nodes = config.trainer.get("num_nodes", 1)
    if nodes != 1:
        raise ConfigError(
            "a run of a sweep trains on one node",
            where="trainer.num_nodes",
            got=nodes,
            mend="Start each point as a plain run: srun python -m divrec.run.train trainer.num_nodes=2 "
            "hydra.run.dir=FOLDER (see docs/sweeps.md); or set trainer.num_nodes=1.",
        )


def resolved(config: DictConfig) -> dict[str, Any]:
    """The config as plain values, without Hydra's own part.

    Raises:
        ConfigError: if a mandatory value is missing.
    """
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise ConfigError("has no value", where=", ".join(missing), mend=f"Set it: {missing[0]}=...")
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items() if key != "hydra"}
