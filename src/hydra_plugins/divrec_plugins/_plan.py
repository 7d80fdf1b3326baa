"""What a sweep trains: names and overrides of its runs, in two waves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from divrec.errors import ConfigError
from divrec.schema import BASE, BASELINE, CONTROL, TRAINED

Job = dict[str, str]


@dataclass(frozen=True)
class Recipe:
    """What surrounds a grid.

    Attributes:
        base: overrides that turn a point into its base.
        point: overrides that every control and point carries beside the grid.
        control: overrides of the control alone.
        baselines: values of `model` that are fitted beside the bases.
        from_base: whether points start from their base's weights; otherwise each trains from scratch, without a base.
    """

    base: Job
    point: Job
    control: Job
    baselines: tuple[str, ...]
    from_base: bool

    @classmethod
    def configured(
        cls,
        base: Mapping[str, Any] | None,
        point: Mapping[str, Any] | None,
        control: Mapping[str, Any] | None,
        baselines: Sequence[str],
        from_base: bool,
    ) -> Recipe:
        """From configured values.

        Raises:
            ConfigError: a key below a group of `point`: it has taken the place of the group's choice.
        """
        for group, value in (point or {}).items():
            if isinstance(value, Mapping):
                path = next(iter(texts({group: value})))
                raise ConfigError(
                    "a key below it takes the place of the choice that every control and point carries",
                    where=f"hydra.sweeper.point.{group}",
                    got=dict(value),
                    mend=f"Write the path as one key: '+hydra.sweeper.point={{{path}:...}}'.",
                )
        return cls(texts(base), texts(point), texts(control), tuple(baselines), from_base)

    def others(self, swept: Sequence[str]) -> list[str]:
        """The keys among those that vary which a base depends on: a run's name ends in their values."""
        return [key for key in swept if key not in self.base]

    def kind(self, name: str) -> str:
        """The kind of a run, by its name."""
        head = name.split("-")[0]
        if head in self.baselines:
            return BASELINE
        return head if head in (BASE, CONTROL) else TRAINED


def waves(
    cells: Sequence[Job], swept: Sequence[str], recipe: Recipe, folder: Path, kept: Mapping[str, str] | None = None
) -> list[dict[str, Job]]:
    """Name -> overrides of the bases and baselines, then of the controls and points; an empty wave is left out.

    Args:
        cells: the cells of the grid, key -> value.
        swept: the keys that vary.
        recipe: what surrounds them.
        folder: the sweep's, where the bases will lie.
        kept: tail of a cell's names -> the tail that they have had in the folder, where it is another.
    """
    others = recipe.others(swept)
    first: dict[str, Job] = {}
    second: dict[str, Job] = {}
    for cell in cells:
        own = [key for key in recipe.base if key in cell and key not in recipe.point]
        planned = tail_of(cell, others)
        tail = (kept or {}).get(planned, planned)
        start = start_from(folder, f"{BASE}{tail}") if recipe.from_base else {}
        first |= {name: job for name, job in _first_wave(cell, tail, recipe).items() if name not in first}
        neutral = {key: recipe.base[key] for key in own}
        control = {**cell, **neutral, **recipe.point, **recipe.control, **start}
        second.setdefault(f"{CONTROL}{tail}", control)
        if own and not any(_same(cell[key], recipe.base[key]) for key in own):  # else it is the control itself
            name = "-".join(plain(cell[key]) for key in own)
            second.setdefault(f"{name}{tail}", {**cell, **recipe.point, **start})
    return [wave for wave in (first, second) if wave]


def tail_of(values: Mapping[str, str], keys: Sequence[str]) -> str:
    """What the names of runs end in: a key and its value each, as "-seed1"."""
    return "".join(f"-{short(key)}{plain(values[key])}" for key in keys)


def start_from(folder: Path, base: str) -> Job:
    """The override that starts a run from the weights of a base."""
    return {"init_from": f'"{folder / base}"'}


def base_of(job: Job) -> str | None:
    """Name of the run that a job starts from."""
    start = job.get("init_from")
    return None if start is None else Path(start.strip('"')).name


def arguments(name: str, job: Job) -> list[str]:
    """A job as overrides, with its name and its folder in the sweep's."""
    return [*(f"{key}={value}" for key, value in job.items()), f"hydra.job.name={name}", f"hydra.sweep.subdir={name}"]


def name_of(overrides: Sequence[str]) -> str:
    """The name that `arguments` gave a job; empty where another sweeper made it."""
    return next((text.partition("=")[2] for text in overrides if text.startswith("hydra.job.name=")), "")


def texts(overrides: Mapping[str, Any] | None) -> Job:
    """Configured overrides as text; what lies deeper, as `base.schedule.steps` puts it, gets its path."""
    found: Job = {}
    for key, value in (overrides or {}).items():
        if isinstance(value, Mapping) and value:
            found |= texts({f"{key}.{deeper}": inner for deeper, inner in value.items()})
        else:
            found[key] = "null" if value is None else str(value)
    return found


def short(key: str) -> str:
    """A key as part of a folder's name: its last part."""
    return key.lstrip("+~").replace("/", ".").split(".")[-1]


def plain(value: str) -> str:
    """A value as part of a folder's name: [gini,simpson] becomes gini+simpson."""
    text = value.strip("[]").replace(",", "+").replace(" ", "")
    return "".join(character if character.isalnum() or character in "+._" else "_" for character in text)


def _first_wave(cell: Job, tail: str, recipe: Recipe) -> dict[str, Job]:
    base = {f"{BASE}{tail}": {**cell, **recipe.base}} if recipe.from_base else {}
    return base | {
        # One that is trained, such as SASRec, is a baseline here, too.
        f"{model}{tail}": {
            **_without_model(cell),
            **_without_model(recipe.base),
            "model": model,
            "kind": BASELINE,
        }
        for model in recipe.baselines
    }


def _without_model(cell: Job) -> Job:
    """A baseline has a model of its own; what the grid says of another model's parts or tuning is not for it."""
    return {
        key: value
        for key, value in cell.items()
        if not key.lstrip("+~").startswith(("model.", "tuning.")) and key != "tuning"
    }


def _same(left: str, right: str) -> bool:
    try:
        return float(left) == float(right)
    except ValueError:
        return left.strip("[]") == right.strip("[]")
