"""A sweep that grows by a key, as by seeds: what is trained already keeps the name that it has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from divrec.errors import ConfigError, RecordError
from divrec.run.door import resolved
from divrec.run.identity import differences, recorded
from divrec.schema import BASE, CONTROL
from hydra_plugins.divrec_plugins._plan import Job, arguments, short

_HEADS = (CONTROL, BASE)
_STARTED = Path(".hydra", "config.yaml")  # Hydra's own note of a run, from its first second on
_OF_A_RUN = ("hydra", "logger")
_NOTHING = object()


def kept_tails(
    planned: Mapping[str, Job], others: Sequence[str], folder: Path, compose: Callable[[list[str]], DictConfig]
) -> dict[str, str]:
    """Tail of a name in the plan -> the tail that the same runs have in the folder, where it is another.

    A sweep of one seed has a `control`; grown with seed=0,1 it plans a `control-seed0`, which would be the same run
    under another name. A control or base is found again by its settings, and its tail is that of its points and
    baselines, too.

    Args:
        planned: name -> overrides of every run.
        others: the keys that vary and that a base depends on.
        folder: the sweep's.
        compose: overrides of a job -> its config.

    Raises:
        ConfigError: the run without a tail has the values of a cell, and other settings besides.
    """
    found: dict[str, str] = {}
    for head in _HEADS:
        lying = _lying(folder, head)
        for name, job in planned.items() if lying else ():
            tail = _tail(name, head)
            if tail is None or tail in found:
                continue
            asked = _plain(compose(arguments(name, job)))
            alike = [had for had, config in lying.items() if not differences(config, asked)]
            if alike:
                found[tail] = tail if tail in alike else alike[0]
            elif tail not in lying and "" in lying:
                _refuse_a_cell_of_other_settings(lying[""], asked, (name, others), folder / head)
    # Cells that differ in nothing that decides a number, as in `rerank`, have no run of their own to find again.
    cells = Counter(found.values())
    return {tail: had for tail, had in found.items() if had != tail and cells[had] == 1}


def _lying(folder: Path, head: str) -> dict[str, dict[str, Any]]:
    """Tail -> settings of the runs of this head that were ever started in a sweep's folder."""
    found: dict[str, dict[str, Any]] = {}
    for place in sorted(folder.glob(f"{head}*")):
        tail = _tail(place.name, head)
        config = None if tail is None else _settings(place)
        if tail is not None and config is not None:
            found[tail] = config
    return found


def _settings(run: Path) -> dict[str, Any] | None:
    try:
        record = recorded(run)
    except RecordError:  # the run itself is refused for it, under the name that it has
        record = None
    if record is not None:
        return dict(record["config"])
    file = run / _STARTED
    return _plain(OmegaConf.load(file)) if file.is_file() else None  # type: ignore[arg-type]


def _tail(name: str, head: str) -> str | None:
    """What follows the head of a name; None where it has another head."""
    tail = name.removeprefix(head)
    return tail if name.startswith(head) and (not tail or tail.startswith("-")) else None


def _refuse_a_cell_of_other_settings(
    there: dict[str, Any], asked: dict[str, Any], about: tuple[str, Sequence[str]], run: Path
) -> None:
    name, others = about
    values = [(_at(there, key), _at(asked, key)) for key in others]
    if not values or any(had is _NOTHING or had != wanted for had, wanted in values):
        return
    words = ", ".join(map(short, others))
    raise ConfigError(
        f"is {name} by its {words}, with other settings ({'; '.join(differences(there, asked)[:5])})",
        where=str(run),
        mend="Grow the sweep with the settings that it began with, choose another hydra.sweep.dir, or delete this run.",
    )


def _at(config: object, key: str) -> object:
    """What a config holds under the key of an override; groups lie under their own names."""
    for part in key.lstrip("+~").replace("/", ".").split("."):
        config = config.get(part, _NOTHING) if isinstance(config, dict) else _NOTHING
    return config


def _plain(config: DictConfig) -> dict[str, Any]:
    """A config as plain values, without what only a run under way can say."""
    return resolved(OmegaConf.masked_copy(config, [str(key) for key in config if key not in _OF_A_RUN]))
