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

from divrec.errors import ConfigError, DivrecError

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
        cause = error.__cause__
        if isinstance(cause, DivrecError):
            raise cause from error
        if cause is None or isinstance(cause, TypeError | ImportError | ValueError):
            text = str(cause or error).splitlines()[0]
            raise ConfigError(text, where=str(node._get_full_key(None)) or None, got=node.get("_target_")) from error
        raise


def call(partial: Callable[..., Any], where: str, *arguments: Any, **given: Any) -> Any:  # noqa: ANN401
    """Call what a `_partial_` node gave; arguments that do not fit become a `ConfigError` that names the key."""
    try:
        return partial(*arguments, **given)
    except TypeError as error:
        raise ConfigError(str(error), where=where, mend="Check the keys of this group.") from error


def check_dials(config: DictConfig) -> None:
    """Refuse root keys that make no sense, before anything heavy is loaded.

    Raises:
        ConfigError: see the messages.
    """
    _number(config, "beta", 0)
    _number(config, "k", 1, whole=True)
    _number(config, "seed", 0, whole=True)
    _number(config, "threads", 1, whole=True)
    if config.beta_scale not in ("gradient", "raw"):
        raise ConfigError("no such scale", where="beta_scale", got=config.beta_scale, mend="Use gradient or raw.")
    if config.beta > 0 and not config.diversity:
        raise ConfigError(
            "there is no regularizer for it to weigh",
            where="beta",
            got=config.beta,
            mend="Add diversity=gini (or another of conf/diversity), or set beta=0.",
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


def _number(config: DictConfig, key: str, least: float, whole: bool = False) -> None:
    value: Any = config[key]
    kinds = (int,) if whole else (int, float)
    fits = isinstance(value, kinds) and not isinstance(value, bool) and least <= value < float("inf")
    if not fits:
        kind = "a whole number" if whole else "a number"
        raise ConfigError(f"must be {kind} of at least {least}", where=key, got=value)
