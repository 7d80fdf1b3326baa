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
from divrec.analysis.varied import flattened, short_key, varied_keys, varied_values
from divrec.errors import RecordError
from divrec.schema import BASE, BASELINE, CONTROL, SPLITS, TRAINED, RunRecord

_SEED_TAIL = re.compile(r"-seed\d+(?=-|$)")
_MISSING = "its own control is missing"


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

    Endings are those of the controls that the sweep has and of those that it expects: where "control-seed1" is missing,
    "gini-0.3-seed1" is left out rather than compared with "control". Baselines without such an ending join every group.
    Points on other data than their control, of another seed, ranked under another rule for seen items, or measured
    with other vectors or categories, are left out: their numbers do not compare. A sweep that has grown may hold a run
    twice ("control" of seed 0 and "control-seed0"): it is counted once.

    Raises:
        RecordError: the sweep has no control.
    """
    controls, left_out = _controls(sweep)
    groups = {_group(tail): found for tail, found in reversed(controls.items()) if isinstance(found, RunRecord)}
    points = []
    for record, folder in sweep.points:
        run = record.name.split("/")[0]
        tail = max((tail for tail in controls if run.endswith(tail)), key=len, default=None)
        found = _MISSING if tail is None else controls[tail]
        everywhere = record.kind == BASELINE and not tail
        if isinstance(found, str) and not everywhere:
            left_out.append(f"{record.name}: {found}")
            continue
        own = {_group(tail or ""): found} if isinstance(found, RunRecord) else {}
        for group, control in (groups if everywhere else own).items():
            if reason := _incomparable(record, control) or (not everywhere and _unlike(record, control)):
                left_out.append(f"{record.name}: {reason}")
                continue
            points.append(_place(record, folder, control.name, (tail or "", group)))
    kept, doubled = _counted_once(points)
    return Placement(kept, (*left_out, *doubled))


def tradeoff_table(points: Sequence[Point], keys: Sequence[str] | None = None) -> pd.DataFrame:
    """The trade-off table: a row a point.

    Args:
        points: of a sweep or a group.
        keys: config keys that get a column; None takes those in which the points differ (`varied_keys`).

    Returns:
        Columns name, setting, group, kind, series, regularizer, beta, rerank, rerank_diversity, seed, task, each config
        key as "config/relaxation.width", each metric as "validation/ndcg@10" and "test/ndcg@10", each cost as
        "cost/fit_seconds", identity.
    """
    wanted = varied_keys(point.record for point in points) if keys is None else keys
    return pd.DataFrame([_row(point, wanted) for point in points])


def regularizer_of(record: RunRecord) -> str:
    """Names of the run's regularizers, joined by "+"; empty for none."""
    return "+".join(sorted(record.objective.get("diversity") or {}))


def _controls(sweep: Sweep) -> tuple[dict[str, RunRecord | str], list[str]]:
    """Ending of names -> the control of the runs that end so, or why they have none; and what is left out.

    Of two controls of one group and seed only the first counts: as two seeds they would make chance look certain.
    """
    controls = [record for record, _ in sweep.points if record.kind == CONTROL and "/" not in record.name]
    if not controls:
        raise RecordError(
            "the sweep has no finished control (beta = 0, trained like the points)",
            where=sweep.name,
            got=[record.name for record, _ in sweep.points],
            mend='Run the sweep again: finished points are kept and "control" is trained; if it fails, see its log.',
        )
    if len(controls) == 1 and not controls[0].name.startswith(CONTROL):
        return {"": controls[0]}, []
    found: dict[str, RunRecord | str] = {name.removeprefix(CONTROL): _MISSING for name in sweep.controls}
    first: dict[tuple[str, int], RunRecord] = {}
    for record in controls:
        tail = record.name.removeprefix(CONTROL)
        kept = first.setdefault((_group(tail), record.seed), record)
        same = kept.identity == record.identity
        found[tail] = kept if same else f"{record.name} has the seed of {kept.name}, and other settings"
    return found, []


def _counted_once(points: Sequence[Point]) -> tuple[tuple[Point, ...], list[str]]:
    """The points without those of a setting and seed, or of a training, that are there already; and messages."""
    seen: dict[tuple[object, ...], str] = {}
    kept, doubled = [], []
    for point in points:
        record = point.record
        one = (point.group, point.setting, record.seed)
        other = (point.group, record.identity, record.name.partition("/")[2])
        if before := seen.get(other):
            doubled.append(f"{record.name}: the same training as {before}, counted once")
        elif before := seen.get(one):
            doubled.append(f"{record.name}: the same setting and seed as {before}, counted once")
        else:
            kept.append(point)
            seen |= {one: record.name, other: record.name}
    return tuple(kept), doubled


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


def _unlike(record: RunRecord, control: RunRecord) -> str:
    """Why a control is not a point's own: another seed, or another value of a key that the point's name spells out."""
    parts = record.name.partition("/")[0].split("-")
    mine, theirs = (flattened(each.config) | {"task": each.objective.get("task")} for each in (record, control))
    named = [key for key, value in mine.items() if f"{key.rpartition('.')[2]}{value}" in parts]
    differing = [key for key in named if theirs.get(key) != mine[key] and key != "seed"]
    values = [f"{key} {mine[key]}, not {theirs.get(key)} as {control.name}" for key in differing]
    if record.seed != control.seed:
        values.append(f"seed {record.seed}, not {control.seed} as {control.name}")
    return f"{_MISSING} ({'; '.join(values)})" if values else ""


def _place(record: RunRecord, folder: Path, control: str, tail_and_group: tuple[str, str]) -> Point:
    tail, group = tail_and_group
    run, slash, point = record.name.partition("/")
    run = run.removesuffix(tail)
    setting = f"{run}{slash}{point}"
    series, strength = setting, None
    starts = (control, f"{CONTROL}{tail}", f"{BASE}{tail}")  # what is mixed into
    mixed = {name.removesuffix(tail): weight for name, weight in record.interpolation.items() if name not in starts}
    if record.rerank:
        model = " + ".join(f"{weight:g} {name}" for name, weight in mixed.items()) or run
        series, strength = f"{record.rerank.get('name', 'rerank')} on {model}", record.rerank.get("diversity")
    elif mixed:
        series, strength = f"interpolation to {' + '.join(mixed)}", sum(mixed.values())
    elif record.kind == TRAINED:
        series, strength = regularizer_of(record) or run, record.objective.get("beta")
    return Point(record, folder, setting, group, control, series, _number(strength))


def _row(point: Point, keys: Sequence[str]) -> dict[str, object]:
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
    config = varied_values(record, keys)
    row |= {f"config/{short_key(key)}": config.get(short_key(key)) for key in keys}
    row |= {f"{split}/{metric}": value for split in SPLITS for metric, value in record.metrics[split].items()}
    row |= {f"cost/{name}": _number(value) for name, value in record.cost.items()}
    return row | {"identity": record.identity}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _text(value: object) -> str:
    return "" if value is None else str(value)
