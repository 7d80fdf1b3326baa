"""Places each record in its sweep (which control, which series, how strong) and makes the trade-off table."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from divrec.analysis.records import Sweep
from divrec.analysis.rulers import differing_rulers
from divrec.errors import RecordError
from divrec.schema import BASE, BASELINE, CONTROL, SPLITS, TRAINED, RunRecord

_SEED_TAIL = re.compile(r"-seed\d+(?=-|$)")


@dataclass(frozen=True)
class Point:
    """A record and its place in the sweep.

    Attributes:
        record: the record.
        folder: where it lies.
        setting: name without the tail of seeds and groups: points that differ in the seed only share it.
        group: what is swept besides ("bpr"); empty where nothing is. A front is drawn within a group.
        control: name of the control that this point is compared with.
        series: what is turned up along a line: "gini", "mmr on control", "interpolation to gini-0.5".
        strength: how far: beta, the re-ranker's diversity, or the weight of the interpolation; NaN for a reference.
    """

    record: RunRecord
    folder: Path
    setting: str
    group: str
    control: str
    series: str
    strength: float

    @property
    def derived(self) -> bool:
        """Whether it is another point of a trained run: re-ranked or interpolated."""
        return "/" in self.record.name

    @property
    def selectable(self) -> bool:
        """Whether it may be shipped: trained like the control (not the base), and no mere baseline."""
        return self.record.kind in (CONTROL, TRAINED)


@dataclass(frozen=True)
class Placement:
    """Every point with its control, and messages about those that have none or cannot be compared."""

    points: tuple[Point, ...]
    left_out: tuple[str, ...] = ()


def place_points(sweep: Sweep) -> Placement:
    """Find each point's control: the one whose name ends alike ("gini-0.3-seed1" and "control-seed1").

    Baselines without such a tail join every group. Points on other data than their control, ranked under another rule
    for seen items, or measured with other vectors or categories, are left out: their numbers do not compare.

    Raises:
        RecordError: the sweep has no control.
    """
    tails = _control_tails(sweep)
    groups = {_group(tail): control for tail, control in reversed(tails.items())}
    points, left_out = [], []
    for record, folder in sweep.points:
        run = record.name.split("/")[0]
        tail = max((tail for tail in tails if run.endswith(tail)), key=len, default=None)
        if tail is None and record.kind != BASELINE:
            left_out.append(f"{record.name}: its own control is missing")
            continue
        own = {} if tail is None else {_group(tail): tails[tail]}
        for group, control in (groups if record.kind == BASELINE and not tail else own).items():
            if reason := _incomparable(record, control):
                left_out.append(f"{record.name}: {reason}")
                continue
            points.append(_place(record, folder, control.name, (tail or "", group)))
    return Placement(tuple(points), tuple(left_out))


def tradeoff_table(points: Sequence[Point]) -> pd.DataFrame:
    """The trade-off table: a row a point.

    Returns:
        Columns name, setting, group, kind, series, regularizer, beta, rerank, rerank_diversity, seed, task, each metric
        as "validation/ndcg@10" and "test/ndcg@10", each cost as "cost/fit_seconds", identity.
    """
    return pd.DataFrame([_row(point) for point in points])


def regularizer_of(record: RunRecord) -> str:
    """Names of the run's regularizers, joined by "+"; empty for none."""
    return "+".join(sorted(record.objective.get("diversity") or {}))


def _control_tails(sweep: Sweep) -> dict[str, RunRecord]:
    controls = [record for record, _ in sweep.points if record.kind == CONTROL and "/" not in record.name]
    if not controls:
        raise RecordError(
            "the sweep has no finished control (beta = 0, trained like the points)",
            where=sweep.name,
            got=[record.name for record, _ in sweep.points],
            mend='Run the sweep again: finished points are kept and "control" is trained; if it fails, see its log.',
        )
    if len(controls) == 1 and not controls[0].name.startswith("control"):
        return {"": controls[0]}
    return {record.name.removeprefix("control"): record for record in controls}


def _group(tail: str) -> str:
    return _SEED_TAIL.sub("", tail).strip("-")


def _incomparable(record: RunRecord, control: RunRecord) -> str:
    mine, theirs = record.data.get("fingerprint"), control.data.get("fingerprint")
    if mine != theirs:
        return f"other data ({mine}) than {control.name} ({theirs})"
    if record.exclude_seen != control.exclude_seen:
        return f"exclude_seen is {record.exclude_seen}, but {control.exclude_seen} for {control.name}"
    if rulers := differing_rulers([record, control]):
        return f"measured with other {' and '.join(sorted(rulers))} than {control.name} (another encoder?)"
    return ""


def _place(record: RunRecord, folder: Path, control: str, tail_and_group: tuple[str, str]) -> Point:
    tail, group = tail_and_group
    run, slash, point = record.name.partition("/")
    run = run.removesuffix(tail)
    setting = f"{run}{slash}{point}"
    series, strength = setting, None
    starts = (control, f"{BASE}{tail}")  # what is mixed into
    mixed = {name.removesuffix(tail): weight for name, weight in record.interpolation.items() if name not in starts}
    if record.rerank:
        model = " + ".join(f"{weight:g} {name}" for name, weight in mixed.items()) or run
        series, strength = f"{record.rerank.get('name', 'rerank')} on {model}", record.rerank.get("diversity")
    elif mixed:
        series, strength = f"interpolation to {' + '.join(mixed)}", sum(mixed.values())
    elif record.kind == TRAINED:
        series, strength = regularizer_of(record) or run, record.objective.get("beta")
    return Point(record, folder, setting, group, control, series, _number(strength))


def _row(point: Point) -> dict[str, object]:
    record = point.record
    row: dict[str, object] = {
        "name": record.name,
        "setting": point.setting,
        "group": point.group,
        "kind": record.kind,
        "series": point.series,
        "regularizer": regularizer_of(record),
        "beta": _number(record.objective.get("beta")),
        "rerank": record.rerank.get("name", ""),
        "rerank_diversity": _number(record.rerank.get("diversity")),
        "seed": record.seed,
        "task": _text(record.objective.get("task")),
    }
    row |= {f"{split}/{metric}": value for split in SPLITS for metric, value in record.metrics[split].items()}
    row |= {f"cost/{name}": _number(value) for name, value in record.cost.items()}
    return row | {"identity": record.identity}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _text(value: object) -> str:
    return "" if value is None else str(value)
