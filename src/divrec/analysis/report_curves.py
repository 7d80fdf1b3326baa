"""Training curves as inline SVG: the course of each run's training.

A run's curve is RUN/curve.csv, which every training writes, else RUN/csv/metrics.csv of `logger=csv`: a column "step",
and a column for each logged name, empty where a step did not log it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from divrec.analysis.chart_style import drawn_series
from divrec.analysis.comparison import Setting
from divrec.analysis.group_front import GroupFront
from divrec.analysis.statistics import Floats
from divrec.analysis.wording import decimals, number
from divrec.schema import BASE, BASELINE, CONTROL, CURVE_FILE

CURVE_FILES = (CURVE_FILE, "csv/metrics.csv")
CURVE_WIDTH, CURVE_HEIGHT = 470, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 100, 10, 34
_MOST = 300  # points of a line
_NAMED = 17  # names that fit beside the ends of lines
_COLUMN, _GAP = 40, 8  # pixels: lines that end so near each other share a column of names, so far from them
_Values = dict[Setting, pd.Series]  # the steps and values of one logged name
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CurveLine:
    """One run's line.

    Attributes:
        style: CSS class.
        name: of the setting.
        polyline: its points; empty for a run with one value, which is a dot.
        end: where its last value lies.
        text: where its name is written; None where there are too many lines, and hovering tells it.
    """

    style: str
    name: str
    polyline: str
    end: tuple[float, float]
    text: tuple[float, float] | None = None


@dataclass(frozen=True)
class CurveChart:
    """One logged value over the steps of all runs."""

    label: str
    lines: tuple[CurveLine, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def read_curve(folder: Path) -> pd.DataFrame:
    """What a run kept of its training, by step; empty where it kept nothing or the file cannot be read.

    Args:
        folder: the run's folder.
    """
    path = next((folder / name for name in CURVE_FILES if (folder / name).is_file()), None)
    if path is None:
        return pd.DataFrame()
    try:
        curve = pd.read_csv(path)
    except (OSError, ValueError) as error:
        _log.warning("%s: the curve cannot be read (%s)", path, error)
        return pd.DataFrame()
    if "step" not in curve.columns:
        _log.warning("%s: the curve has no column step", path)
        return pd.DataFrame()
    numbers: pd.DataFrame = curve.apply(pd.to_numeric, errors="coerce").dropna(subset="step").set_index("step")
    return numbers


def curve_charts(front: GroupFront) -> tuple[CurveChart, ...]:
    """Charts of validation accuracy, of the first measure of diversity, and of the losses; those that were logged.

    A base that trained for much longer than the others has charts of its loss to itself: it would press theirs into a
    corner.
    """
    curves = {
        setting: curve
        for setting in front.settings
        if setting.first.record.kind != BASELINE
        and not setting.first.derived
        and not (curve := read_curve(setting.first.folder)).empty
    }
    found = []
    for name in (*(f"validation/{axis.metric}" for axis in (front.accuracy, front.axes[0])), "loss/task", "loss/total"):
        values = {setting: curve[name].dropna() for setting, curve in curves.items() if name in curve.columns}
        values = {setting: series for setting, series in values.items() if len(series) > 0}
        if not values or max(map(len, values.values())) < 2:
            continue
        bases = _long_bases(values) if name.startswith("loss/") else {}
        found.append(_chart(front, name, {s: series for s, series in values.items() if s not in bases}))
        if bases and name == "loss/task":  # a base has no other loss
            found.append(_chart(front, f"{name}: {', '.join(setting.name for setting in bases)}", bases))
    return tuple(found)


def _long_bases(values: _Values) -> _Values:
    """Those of the bases, where they took more than twice the steps of the others; else none."""
    bases = {setting: series for setting, series in values.items() if setting.first.record.kind == BASE}
    others = [float(series.index.max()) for setting, series in values.items() if setting not in bases]
    long = others and max((float(series.index.max()) for series in bases.values()), default=0.0) > 2 * max(others)
    return bases if long else {}


def _chart(front: GroupFront, name: str, values: _Values) -> CurveChart:
    steps = np.concatenate([series.index.to_numpy(np.float64) for series in values.values()])
    heights = np.concatenate([series.to_numpy(np.float64) for series in values.values()])
    low, high = np.array([min(0.0, steps.min()), heights.min()]), np.array([steps.max(), heights.max()])
    span = np.where(high > low, high - low, np.maximum(np.abs(high), 1.0) * 0.1)
    low, high = low - np.array([0, 0.04]) * span, low + np.array([1, 1.04]) * span

    def pixels(at_P2: Floats) -> Floats:
        share = (at_P2 - low) / (high - low)
        size = np.array([CURVE_WIDTH - _LEFT - _RIGHT, CURVE_HEIGHT - _TOP - _BOTTOM])
        placed: Floats = np.column_stack([_LEFT + share[:, 0] * size[0], _TOP + (1 - share[:, 1]) * size[1]])
        return placed

    marks = [MaxNLocator(4).tick_values(low[side], high[side]) for side in (0, 1)]
    marks = [ticks[(ticks >= low[side]) & (ticks <= high[side])] for side, ticks in enumerate(marks)]
    x_pixels = pixels(np.column_stack([marks[0], np.full(len(marks[0]), low[1])]))[:, 0]
    y_pixels = pixels(np.column_stack([np.full(len(marks[1]), low[0]), marks[1]]))[:, 1]
    digits = decimals(float(np.diff(marks[1]).min())) if len(marks[1]) > 1 else 2
    return CurveChart(
        label=name,
        lines=_lines(front, values, pixels),
        x_ticks=tuple((float(x), f"{mark:,.0f}") for x, mark in zip(x_pixels, marks[0], strict=True)),
        y_ticks=tuple((float(y), number(float(mark), digits)) for y, mark in zip(y_pixels, marks[1], strict=True)),
    )


def _lines(front: GroupFront, values: _Values, pixels: Callable[[Floats], Floats]) -> tuple[CurveLine, ...]:
    """The lines, those that matter most on top; with many of them only these are named."""
    colored = {s.name: place for place, line in enumerate(drawn_series(front)) for s in line.settings if line.joined}
    lines = []
    for setting in sorted(values, key=lambda each: _matters(front, each)):
        series = values[setting]
        thin = series.iloc[:: max(1, len(series) // _MOST)]
        at_P2 = pixels(np.column_stack([thin.index.to_numpy(np.float64), thin.to_numpy(np.float64)]))
        kind = setting.first.record.kind
        style = "ink" if kind == CONTROL else "faint" if kind == BASE else f"s{colored.get(setting.name, 0)}"
        polyline = " ".join(f"{x:.1f},{y:.1f}" for x, y in at_P2) if len(at_P2) > 1 else ""
        lines.append(CurveLine(style, setting.name, polyline, (float(at_P2[-1, 0]), float(at_P2[-1, 1]))))
    wanted = {s.name for s in values if len(values) <= _NAMED or _matters(front, s)}
    named = [line for line in lines if line.name in wanted]
    places = dict(zip((line.name for line in named), _beside([line.end for line in named]), strict=True))
    return tuple(replace(line, text=places.get(line.name)) for line in lines)


def _matters(front: GroupFront, setting: Setting) -> bool:
    return setting.first.record.kind in (BASE, CONTROL) or setting is front.operating


def _beside(ends: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Places of names right of the ends of their lines; those that end near each other share a column."""
    columns: list[list[int]] = []
    for place in sorted(range(len(ends)), key=lambda each: ends[each][0]):
        if columns and ends[place][0] - ends[columns[-1][0]][0] <= _COLUMN:
            columns[-1].append(place)
        else:
            columns.append([place])
    found = [(0.0, 0.0)] * len(ends)
    for column in columns:
        right = max(ends[place][0] for place in column) + _GAP
        for place, height in zip(column, _apart([ends[place][1] for place in column]), strict=True):
            found[place] = (right, height)
    return found


def _apart(heights: Sequence[float], gap: float = 11.0) -> list[float]:
    """Heights of the names at the ends of lines, moved apart by at least a gap, inside the chart where they fit."""
    order = np.argsort(heights)
    places = np.array(heights, dtype=np.float64)
    for above, below in zip(order[:-1], order[1:], strict=True):
        places[below] = max(places[below], places[above] + gap)
    overflow = max(0.0, float(places.max(initial=0.0)) - (CURVE_HEIGHT - _BOTTOM))
    placed: list[float] = np.maximum(places - overflow, 8.0).tolist()
    return placed
