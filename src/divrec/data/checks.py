"""Leakage checks on a dataset as it lies on disk; they trust nothing that the build says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from divrec.data.build import PreparedData
from divrec.data.histories import flat_lists
from divrec.schema import SPLITS, TRAIN


@dataclass(frozen=True)
class Check:
    """A question about leakage and its answer.

    Attributes:
        question: what must hold.
        holds: True, False, or None where the kind of split does not promise it.
        detail: what was found.
    """

    question: str
    holds: bool | None
    detail: str


def leakage_checks(prepared: PreparedData) -> list[Check]:
    """All checks; on a sound dataset none is False."""
    return [
        *_time_checks(prepared),
        *(_targets_are_new(prepared, name) for name in SPLITS),
        _times_go_up(prepared),
        _counts_are_of_training(prepared),
    ]


def _time_checks(prepared: PreparedData) -> list[Check]:
    facts = prepared.manifest["splits"]
    checks = []
    for before, name in zip((TRAIN, *SPLITS), SPLITS, strict=False):
        question = f"no event before the {name} window is later than its start"
        if "start" not in facts[name]:
            checks.append(Check(question, None, "not a split in time: users lie at different times"))
            continue
        start = int(datetime.fromisoformat(facts[name]["start"]).timestamp())
        latest = max(_latest(prepared.splits[each]) for each in (before, name))
        checks.append(Check(question, latest < start, f"last event {start - latest:,} s before the window"))
    return checks


def _latest(split: Dataset) -> int:
    times, _ = flat_lists(split.with_format("arrow")[:], "times")
    return int(times.max())


def _targets_are_new(prepared: PreparedData, name: str) -> Check:
    """With `repeats: first` a target has not been touched before."""
    table = prepared.splits[name].with_format("arrow")[:]
    items = len(prepared.catalogue)
    pairs = [_pairs(table, column, items) for column in ("items", "targets")]
    repeated = int(np.isin(pairs[1], pairs[0]).sum())
    promised = prepared.manifest["settings"]["repeats"] == "first"
    detail = f"{repeated:,} of {len(pairs[1]):,} targets are in the user's history"
    return Check(f"{name} targets are new to their user", repeated == 0 if promised else None, detail)


def _pairs(table: pa.Table, column: str, items: int) -> np.ndarray:
    values, offsets = flat_lists(table, column)
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return owners.astype(np.int64) * items + values


def _times_go_up(prepared: PreparedData) -> Check:
    backwards = 0
    for name in (TRAIN, *SPLITS):
        times, offsets = flat_lists(prepared.splits[name].with_format("arrow")[:], "times")
        steps = np.diff(times)
        steps[offsets[1:-1] - 1] = 0  # from one user to the next
        backwards += int((steps < 0).sum())
    return Check("every history is in the order of time", backwards == 0, f"{backwards:,} steps back")


def _counts_are_of_training(prepared: PreparedData) -> Check:
    items, _ = flat_lists(prepared.splits[TRAIN].with_format("arrow")[:], "items")
    counts = np.bincount(items, minlength=len(prepared.catalogue))
    stored = prepared.catalogue.with_format("arrow")[:].column("count").to_numpy()
    differing = int((counts != stored).sum())
    total = int(pc.sum(pa.array(stored)).as_py())
    return Check(
        "popularity counts training events only", differing == 0, f"{differing:,} items differ; {total:,} events in all"
    )
