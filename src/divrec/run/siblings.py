"""Finished runs between which weights can be mixed, and the places between them. Imports no torch."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from divrec.errors import ConfigError, check_number
from divrec.run.identity import differences, finished, recorded
from divrec.schema import BASE, BASELINE, CONTROL, RunRecord

# What decides the shape of a model, what it reads and what it is measured with.
_SHARED = (
    *("k", "exclude_seen", "metrics", "encoder", "tuning", "user", "model"),
    *("data.history_length", "data.half_life_days"),
)

Amounts = tuple[float, ...]


@dataclass(frozen=True)
class FinishedRun:
    """A run on disk.

    Attributes:
        folder: where it lies.
        record: what it recorded.
    """

    folder: Path
    record: RunRecord

    @classmethod
    def read(cls, folder: str, where: str) -> FinishedRun:
        """Read it; `where` is the config key that names it.

        Raises:
            RecordError: if it is not finished.
        """
        return cls(Path(folder), RunRecord(**finished(Path(folder), where)))

    @property
    def start(self) -> str | None:
        """Identity of the run whose weights it started from; None for a training from scratch.

        A sweep may have been moved: then the run of that name beside this one counts.
        """
        given = self.record.config.get("init_from")
        if given is None:
            return None
        places = (Path(given), self.folder.resolve().parent / Path(given).name)
        found = (recorded(place) for place in places)
        return next((str(each["identity"]) for each in found if each is not None), str(given))


@dataclass(frozen=True)
class Siblings:
    """A base and runs that were trained on from the same weights.

    Attributes:
        base: the run at which every dial stands at 0: the control, or the base itself.
        toward: the runs that a dial each leads to.
    """

    base: FinishedRun
    toward: tuple[FinishedRun, ...]

    @classmethod
    def read(cls, base: str, toward: Sequence[str]) -> Siblings:
        """Read the records and refuse runs that cannot be mixed.

        Raises:
            RecordError: a run is not finished.
            ConfigError: the runs are no siblings, or differ in shape, data or measures.
        """
        if not toward:
            raise ConfigError("needs at least one run", where="toward", mend="Give folders: toward=[RUN, RUN].")
        siblings = cls(FinishedRun.read(base, "base"), tuple(FinishedRun.read(each, "toward") for each in toward))
        names = [run.record.name for run in siblings.runs]
        if len(set(names)) < len(names):
            raise ConfigError("each run can be named once", where="base and toward", got=names)
        for run in siblings.toward:
            _refuse_strangers(siblings.base, run)
        return siblings

    @property
    def runs(self) -> tuple[FinishedRun, ...]:
        """The base, then the others."""
        return (self.base, *self.toward)

    def turned(self, amounts: Amounts) -> list[tuple[FinishedRun, float]]:
        """The runs whose dials do not stand at 0, in the order of their names; the first owns the point."""
        pairs = [(run, amount) for run, amount in zip(self.toward, amounts, strict=True) if amount != 0]
        return sorted(pairs, key=lambda pair: pair[0].record.name)

    def point_name(self, amounts: Amounts) -> str:
        """Name of a point below its run, the same for every seed: "interpolated-control-a0.6"."""
        base = self.base.record
        tail = base.name.removeprefix(base.kind) if base.kind in (BASE, CONTROL) else ""
        tail = "" if tail == base.name else tail
        (_, first), *others = self.turned(amounts)
        more = [f"+{run.record.name.removesuffix(tail)}-a{amount:.12g}" for run, amount in others]
        return "".join([f"interpolated-{base.name.removesuffix(tail)}-a{first:.12g}", *more])

    def weights(self, amounts: Amounts) -> dict[str, float]:
        """Weight of each run in the point, by name; runs without any are left out."""
        shares = {self.base.record.name: round(1 - sum(amounts), 12)}
        shares |= {run.record.name: amount for run, amount in self.turned(amounts)}
        return {name: share for name, share in shares.items() if share != 0}

    def identity(self, amounts: Amounts) -> str:
        """Hash of the runs and their weights."""
        own = {run.record.name: run.record.identity for run in self.runs}
        parts = sorted((own[name], weight) for name, weight in self.weights(amounts).items())
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()


def places(amounts: Sequence[Any], dials: int) -> list[Amounts]:
    """The places between the runs that a user asks for; the runs themselves are left out.

    Args:
        amounts: numbers: every combination of them over the dials; or lists with a number for each dial.
        dials: their number.

    Raises:
        ConfigError: neither, or not a number for each dial.
    """
    asked = [tuple(each) if isinstance(each, list | tuple) else each for each in amounts]
    listed = [each for each in asked if isinstance(each, tuple)]
    if listed and (len(listed) < len(asked) or any(len(each) != dials for each in listed)):
        raise ConfigError(
            f"needs numbers, or lists of {dials} numbers, one for each dial", where="amounts", got=list(amounts)
        )
    grid: list[Amounts] = listed or list(itertools.product(asked, repeat=dials))
    for amount in itertools.chain.from_iterable(grid):
        check_number("amounts", amount)
    between = [each for each in dict.fromkeys(grid) if sorted(each) not in _runs_themselves(dials)]
    if not between:
        raise ConfigError(
            "names no place between the runs", where="amounts", got=list(amounts), mend="Try amounts=[0.25,0.5,0.75]."
        )
    return [tuple(float(amount) for amount in each) for each in between]


def _runs_themselves(dials: int) -> list[list[float]]:
    """Sorted amounts of the base, and of a run that a dial leads to."""
    return [[0.0] * dials, [0.0] * (dials - 1) + [1.0]]


def _refuse_strangers(base: FinishedRun, run: FinishedRun) -> None:
    names = f"{base.record.name} and {run.record.name}"
    for each in (base, run):
        if each.record.kind == BASELINE:
            raise ConfigError("a baseline has no weights to mix", where="base or toward", got=each.record.name)
    if run.start is None or run.start not in (base.start, base.record.identity):
        raise ConfigError(
            f"{names} were not trained on from the same weights: a model between them is none",
            where="toward",
            got=str(run.folder),
            mend="Use runs with the same init_from, or their base itself.",
        )
    one, other = base.record, run.record
    # Where the content of the language model was recorded, it counts; else its name.
    told = "encoder_identity" if all("encoder_identity" in each.model for each in (one, other)) else "encoder"
    differing = differences(one.config, other.config, _SHARED)
    differing += [
        f"{name}: {mine} -> {theirs}"
        for name, mine, theirs in (
            ("data", one.data["fingerprint"], other.data["fingerprint"]),
            ("encoder", one.model[told], other.model[told]),
        )
        if mine != theirs
    ]
    if differing:
        raise ConfigError(
            f"{names} cannot be mixed, for they differ ({'; '.join(differing[:5])})",
            where="toward",
            got=str(run.folder),
            mend="Use runs with the same model, data and measures.",
        )
