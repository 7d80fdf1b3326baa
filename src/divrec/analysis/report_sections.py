"""What the sections of the report show, as plain cells for the template."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from divrec.analysis.axes import Axis
from divrec.analysis.comparison import Setting, moves_nothing
from divrec.analysis.group_front import GroupFront, Series
from divrec.analysis.records import read_slates
from divrec.analysis.wording import DASH, change, interval_text, number, share_text, signed
from divrec.schema import ITEM_ID, RANK, TEST, USER_ID, RunRecord

_SHOWN_USERS = 5


@dataclass(frozen=True)
class Cell:
    """A table's cell: text, the value to sort by, a smaller second line, and a CSS class."""

    text: str
    order: float | str = ""
    detail: str = ""
    style: str = ""


@dataclass(frozen=True)
class SeriesTable:
    """What one series did as its strength grew: a row a setting, a column an axis, and the gains below."""

    name: str
    knob: str
    no_effect: bool
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    gains: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class ListedItem:
    """A delivered item: its text, category, and whether only this list of the pair has it."""

    text: str
    category: str
    only_here: bool


@dataclass(frozen=True)
class UserLists:
    """One user's list from the control and from the operating point."""

    user: str
    control: tuple[ListedItem, ...]
    chosen: tuple[ListedItem, ...]


def point_columns(front: GroupFront) -> tuple[str, ...]:
    """Header of the table of all points."""
    k = front.accuracy.metric.split("@")[1]
    measures = [front.accuracy.label, "of control", f"Recall@{k}", *(axis.short for axis in front.axes)]
    return ("point", "kind", "series", "strength", *measures)


def point_rows(front: GroupFront) -> list[tuple[Cell, ...]]:
    """Rows of the table of all points (test); the first cell says what the point is known for."""
    k = front.accuracy.metric.split("@")[1]
    rows = []
    for setting in front.settings:
        first = setting.first
        strength = Cell(setting.strength, _sortable(first.strength))
        cells = [Cell(setting.name, setting.name, "; ".join(_badges(front, setting)))]
        cells += [Cell(first.record.kind, first.record.kind), Cell(first.series, first.series), strength]
        cells.append(_value_cell(setting, front.accuracy, front))
        cells.append(Cell(share_text(front.share(setting)), _sortable(front.share(setting))))
        recall = setting.values.get(f"{TEST}/recall@{k}", math.nan)
        cells.append(Cell(number(recall), _sortable(recall)))
        cells += [_value_cell(setting, axis, front) for axis in front.axes]
        rows.append(tuple(cells))
    return rows


def series_tables(front: GroupFront) -> list[SeriesTable]:
    """One table a series: strength -> change of each measure with its interval, then the gains over the band."""
    return [_series_table(front, series) for series in front.series]


def user_lists(front: GroupFront, catalogue: Mapping[str, tuple[str, str]]) -> list[UserLists]:
    """Lists of five users (seeded choice among all test users) from the control and the operating point.

    Raises:
        RecordError: the lists cannot be read.
    """
    if not front.gained:
        return []
    k = int(front.accuracy.metric.split("@")[1])
    frames = [read_slates(setting.first.folder, TEST) for setting in (front.control, front.operating)]
    lists = [_lists_by_user(frame[frame[RANK] <= k]) for frame in frames]
    users = sorted(lists[0].keys() & lists[1].keys())
    chosen = np.random.default_rng(0).choice(len(users), min(_SHOWN_USERS, len(users)), replace=False)
    return [
        UserLists(
            users[place],
            _listed(lists[0][users[place]], lists[1][users[place]], catalogue),
            _listed(lists[1][users[place]], lists[0][users[place]], catalogue),
        )
        for place in sorted(chosen)
    ]


def cost_rows(front: GroupFront) -> list[tuple[str, ...]]:
    """Cost of each run that was trained or evaluated: seconds of fit and evaluation, steps, peak memory."""
    rows = []
    for setting in front.settings:
        for point in setting.points:
            cost = point.record.cost
            values = [cost.get(key, math.nan) for key in ("fit_seconds", "evaluate_seconds", "steps", "peak_memory_mb")]
            shown = (DASH if value is None or math.isnan(value) else f"{value:,.1f}" for value in values)
            rows.append((point.record.name, *(text.removesuffix(".0") for text in shown)))
    return rows


def provenance_rows(front: GroupFront) -> list[tuple[str, str]]:
    """Where the numbers come from: data, model, seeds, code, and digests of the two configs that matter."""
    records = [point.record for setting in front.settings for point in setting.points]
    control = front.control.first.record
    rows = [
        (f"{part} {key}", f"{value:,}" if isinstance(value, int) else str(value))
        for part, content in (("data", control.data), ("model", control.model))
        for key, value in content.items()
    ]
    rows += [
        ("seeds", ", ".join(map(str, sorted({record.seed for record in records})))),
        ("exclude seen", str(control.exclude_seen)),
        ("code", "; ".join(sorted({_code(record) for record in records}))),
        ("control", f"{control.name}, identity {control.identity}, config {config_digest(control)}"),
    ]
    if front.gained:
        chosen = front.operating.first.record
        rows.append(("operating point", f"{chosen.name}, identity {chosen.identity}, config {config_digest(chosen)}"))
    return rows


def config_digest(record: RunRecord) -> str:
    """SHA-256 of the resolved config in canonical JSON, its first 16 digits."""
    text = json.dumps(record.config, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _series_table(front: GroupFront, series: Series) -> SeriesTable:
    axes = (front.accuracy, *front.axes)
    rows = []
    for setting in series.settings:
        flat = moves_nothing(setting, axes)
        cells = [Cell(setting.strength or setting.name, detail="no effect" if flat else "")]
        cells += [_change_cell(setting, axis) for axis in axes]
        rows.append(tuple(cells))
    gains = []
    for label, name in (("mean gain, 90\u2013100 %", "mean"), ("gain at 98 %", "at_98"), ("gain at 95 %", "at_95")):
        bands = [series.gains[axis.key].band[TEST] for axis in front.axes]
        gains.append((Cell(label), Cell(""), *(Cell(signed(getattr(band, name))) for band in bands)))
    volumes = [series.gains[axis.key].hypervolume[TEST] for axis in front.axes]
    gains.append((Cell("hypervolume \u00d7 1000"), Cell(""), *(Cell(number(1000 * v, 2)) for v in volumes)))
    knob = "beta" if series.trained else "weight" if series.name.startswith("interpolation") else "diversity"
    return SeriesTable(
        series.name, knob, series.no_effect, tuple(axis.short for axis in axes), tuple(rows), tuple(gains)
    )


def _change_cell(setting: Setting, axis: Axis) -> Cell:
    interval = setting.change(axis)
    style = "" if not interval.known or interval.includes_zero else "up" if interval.estimate > 0 else "down"
    return Cell(change(interval), detail=interval_text(interval), style=style)


def _value_cell(setting: Setting, axis: Axis, front: GroupFront) -> Cell:
    value = setting.value(axis, TEST)
    detail = "" if setting is front.control else change(setting.change(axis))
    return Cell(number(value), _sortable(value), detail)


def _badges(front: GroupFront, setting: Setting) -> list[str]:
    badges = ["operating point"] if front.gained and setting is front.operating else []
    badges += ["on the front"] if setting.name in front.on_front[front.axes[0].key] else []
    badges += ["no effect"] if setting.first.series in front.no_effect else []
    return badges + ([f"{len(setting.points)} seeds"] if len(setting.points) > 1 else [])


def _lists_by_user(slates: pd.DataFrame) -> dict[str, list[str]]:
    ordered = slates.sort_values([USER_ID, RANK])
    return {str(user): [str(item) for item in items] for user, items in ordered.groupby(USER_ID)[ITEM_ID]}


def _listed(
    items: Sequence[str], others: Sequence[str], catalogue: Mapping[str, tuple[str, str]]
) -> tuple[ListedItem, ...]:
    return tuple(ListedItem(*catalogue.get(item, (item, "")), only_here=item not in others) for item in items)


def _code(record: RunRecord) -> str:
    return " ".join(f"{key} {value}" for key, value in record.code.items() if value)


def _sortable(value: float) -> float | str:
    return "" if math.isnan(value) else value
