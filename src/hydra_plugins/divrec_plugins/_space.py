"""The space that a search draws from, as configured: a list of choices, or a range."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from divrec.errors import ConfigError
from hydra_plugins.divrec_plugins._plan import Job

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# What a base does not have, or takes from the `base` overrides: varying it needs no other base.
_OF_THE_POINT = ("diversity", "beta", "beta_scale", "relaxation", "schedule")

_RANGE = {"low", "high", "log", "step"}
_FORM = "Give a list of choices, or {low: 0.03, high: 1, log: true}."


def distributions(space: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Config key -> distribution. Whole numbers at both ends draw whole numbers.

    Args:
        space: config key -> list of choices, or {low, high, log, step}; `log` draws evenly over orders of magnitude.

    Raises:
        ConfigError: an entry is neither, is empty, or its ends make no sense.
    """
    if not space:
        raise ConfigError("there is nothing to search", where="hydra.sweeper.space", mend="Add beta, for a start.")
    return {key: _distribution(f"hydra.sweeper.space.{key}", entry) for key, entry in space.items()}


def keys_of_the_base(space: Mapping[str, Any]) -> list[str]:
    """Keys that the base depends on too: each of their values needs a base and a control of its own.

    Raises:
        ConfigError: such a key has a range: there would be a base for every trial.
    """
    keys = [key for key in space if _plain_key(key).replace("/", ".").split(".")[0] not in _OF_THE_POINT]
    for key in keys:
        if isinstance(space[key], Mapping):
            raise ConfigError(
                "the base depends on it, so that each value needs a base of its own",
                where=f"hydra.sweeper.space.{key}",
                got=dict(space[key]),
                mend="Give a list of choices.",
            )
    return keys


def corners(space: Mapping[str, Any]) -> list[Job]:
    """Values for all keys, so that every choice and both ends of every range appear in one of them."""
    ends = {key: choices(each) if _is_list(each) else [each["low"], each["high"]] for key, each in space.items()}
    first = {key: values[0] for key, values in ends.items()}
    found = [overrides({**first, key: value}) for key, values in ends.items() for value in values]
    return [each for place, each in enumerate(found) if each not in found[:place]]


def overrides(params: Mapping[str, Any]) -> Job:
    """Drawn values as overrides; numbers keep all their digits, so that a resumed trial is the same run."""
    return {key: value if isinstance(value, str) else repr(value) for key, value in params.items()}


def choices(values: Sequence[Any]) -> list[str | int | float | bool]:
    """Choices as a study stores them: [gini,simpson] as a nested list is one choice, of two at once."""
    return [f"[{','.join(map(str, value))}]" if _is_list(value) else value for value in values]


def _distribution(where: str, entry: Any) -> BaseDistribution:  # noqa: ANN401 - as configured
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if _is_list(entry):
        if not entry:
            raise ConfigError("has no choices", where=where, mend=_FORM)
        return CategoricalDistribution(choices(entry))
    if not isinstance(entry, Mapping) or not {"low", "high"} <= set(entry) <= _RANGE:
        raise ConfigError("is neither choices nor a range", where=where, got=entry, mend=_FORM)
    low, high, log, step = entry["low"], entry["high"], entry.get("log"), entry.get("step")
    try:
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log=bool(log), step=step or 1)
        return FloatDistribution(float(low), float(high), log=bool(log), step=step)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"is no range: {error}", where=where, got=dict(entry), mend=_FORM) from error


def _is_list(entry: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(entry, Iterable) and not isinstance(entry, str | Mapping)


def _plain_key(key: str) -> str:
    return key.lstrip("+~")
