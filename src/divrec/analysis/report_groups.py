"""Effects by group of users: the control and the operating point on cold users, tail items, categories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from divrec.analysis.axes import Axis
from divrec.analysis.comparison import Setting
from divrec.analysis.group_front import GroupFront
from divrec.analysis.records import read_groups
from divrec.analysis.report_cells import Cell
from divrec.analysis.wording import Words, number, signed
from divrec.errors import RecordError
from divrec.schema import TEST

_SHOWN_MEASURES = ("coverage", "simpson", "ilad")
_CATEGORIES = 3  # shown from each end
_FEW = 30  # users: below that a mean says little
_ORDER = ("cold", "light", "heavy", "head", "mid", "tail", "new")


@dataclass(frozen=True)
class GroupTable:
    """Groups of one kind: a row a group."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def group_tables(front: GroupFront, category_names: Sequence[str], words: Words) -> tuple[GroupTable, ...]:
    """Tables by activity, by popularity of the target and by its category; none where groups were not written.

    Args:
        front: the analyzed group of settings.
        category_names: names of the categories in the order of their numbers; where it is empty, numbers are shown.
        words: language.
    """
    try:
        before, after = (_mean_values(setting) for setting in (front.control, front.operating))
    except RecordError:
        return ()  # evaluated before groups were written, which the report says in place of the tables
    axes = (front.accuracy, *(axis for axis in front.axes if axis.name in (front.axes[0].name, *_SHOWN_MEASURES)))
    tables = []
    for grouping in before["grouping"].unique():
        sides = tuple(frame[frame["grouping"] == grouping] for frame in (before, after))
        rows = _rows((sides[0], sides[1]), axes)
        title = words.texts.get(f"grouping.{grouping}", str(grouping))
        if grouping == "category":
            rows, title = _extremes(rows, front.accuracy, words)
            names = dict(enumerate(category_names))
            labels = {group: names.get(int(group), str(group)) for group in rows}
        else:
            rows = dict(sorted(rows.items(), key=lambda item: (*_ORDER, item[0]).index(item[0])))
            labels = {group: words.texts.get(f"group.{group}", group) for group in rows}
        columns = (title, words["groups.users"], *(words.short(axis) for axis in axes))
        cells = tuple(_cells(labels[group], values, axes) for group, values in rows.items())
        tables.append(GroupTable(title, columns, cells))
    return tuple(tables)


def _mean_values(setting: Setting) -> pd.DataFrame:
    """Values by group on test, averaged over the setting's seeds."""
    frames = pd.concat([read_groups(point.folder, TEST) for point in setting.points])
    keys = ["grouping", "group", "metric"]
    return frames.groupby(keys, sort=False)[["value", "users"]].mean().reset_index()


_Row = Mapping[str, tuple[float, float, float]]  # metric -> before, after, users


def _rows(sides: tuple[pd.DataFrame, pd.DataFrame], axes: Sequence[Axis]) -> dict[str, _Row]:
    joined = sides[0].merge(sides[1], on=["grouping", "group", "metric"], suffixes=("", "_after"))
    wanted = joined[joined["metric"].isin([axis.metric for axis in axes])]
    columns = ["metric", "value", "value_after", "users"]
    return {
        str(group): {str(metric): (float(a), float(b), float(n)) for metric, a, b, n in members[columns].to_numpy()}
        for group, members in wanted.groupby("group", sort=False)
    }


def _extremes(rows: dict[str, _Row], accuracy: Axis, words: Words) -> tuple[dict[str, _Row], str]:
    """The categories whose accuracy fell or rose most, the worst first."""
    known = {
        group: values[accuracy.metric][1] - values[accuracy.metric][0]
        for group, values in rows.items()
        if accuracy.metric in values and values[accuracy.metric][2] >= _FEW
    }
    order = sorted(known, key=lambda group: known[group])
    picked = order if len(order) <= 2 * _CATEGORIES else [*order[:_CATEGORIES], *order[-_CATEGORIES:]]
    extent = words["groups.categories"].format(count=len(order), accuracy=words.label(accuracy))
    return {group: rows[group] for group in picked}, f"{words['grouping.category']}: {extent}"


def _cells(label: str, values: _Row, axes: Sequence[Axis]) -> tuple[Cell, ...]:
    users = max((n for _, _, n in values.values()), default=0)
    style = "few" if users < _FEW else ""
    cells = [Cell(label, style=style), Cell(f"{users:,.0f}", style=style)]
    for axis in axes:
        before, after, _ = values.get(axis.metric, (math.nan, math.nan, 0.0))
        before, after = axis.turned(before), axis.turned(after)
        shown = f"{number(before, 3)} \u2192 {number(after, 3)}"
        seen = round(after - before, 3) if math.isfinite(after - before) else 0.0
        moved = "up" if seen > 0 else "down" if seen < 0 else ""
        cells.append(Cell(shown, detail=signed(after - before, 3), style=style or moved))
    return tuple(cells)
