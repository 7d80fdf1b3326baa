"""Training curves as inline SVG: the course of each run's training.

A run's curve is RUN/curve.csv, which every training writes, else RUN/csv/metrics.csv of `logger=csv`: a column "step",
and a column for each logged name, empty where a step did not log it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
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
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CurveLine:
    """One run's line: CSS class, name, points of the polyline, place of its name."""

    style: str
    name: str
    polyline: str
    text_y: float


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
    """Charts of validation accuracy, of the first measure of diversity, and of the losses; those that were logged."""
    colored = {s.name: place for place, line in enumerate(drawn_series(front)) for s in line.settings if line.joined}
    curves = {
        setting: curve
        for setting in front.settings
        if setting.first.record.kind != BASELINE
        and not setting.first.derived
        and not (curve := read_curve(setting.first.folder)).empty
    }
    wanted = [f"validation/{axis.metric}" for axis in (front.accuracy, front.axes[0])]
    found = []
    for name in (*wanted, "loss/task", "loss/total"):
        values = {setting: curve[name].dropna() for setting, curve in curves.items() if name in curve.columns}
        values = {setting: series for setting, series in values.items() if len(series) > 0}
        if values and max(map(len, values.values())) > 1:
            found.append(_chart(name, values, colored))
    return tuple(found)


def _chart(name: str, values: dict[Setting, pd.Series], colored: dict[str, int]) -> CurveChart:
    steps = np.concatenate([series.index.to_numpy(np.float64) for series in values.values()])
    heights = np.concatenate([series.to_numpy(np.float64) for series in values.values()])
    low, high = np.array([steps.min(), heights.min()]), np.array([steps.max(), heights.max()])
    span = np.where(high > low, high - low, np.maximum(np.abs(high), 1.0) * 0.1)
    low, high = low - np.array([0, 0.04]) * span, low + np.array([1, 1.04]) * span

    def pixels(at_P2: Floats) -> Floats:
        share = (at_P2 - low) / (high - low)
        size = np.array([CURVE_WIDTH - _LEFT - _RIGHT, CURVE_HEIGHT - _TOP - _BOTTOM])
        placed: Floats = np.column_stack([_LEFT + share[:, 0] * size[0], _TOP + (1 - share[:, 1]) * size[1]])
        return placed

    lines, ends = [], []
    for setting, series in values.items():
        thin = series.iloc[:: max(1, len(series) // _MOST)]
        at = pixels(np.column_stack([thin.index.to_numpy(np.float64), thin.to_numpy(np.float64)]))
        kind = setting.first.record.kind
        style = "ink" if kind == CONTROL else "faint" if kind == BASE else f"s{colored.get(setting.name, 0)}"
        lines.append((style, setting.name, " ".join(f"{x:.1f},{y:.1f}" for x, y in at)))
        ends.append(float(at[-1, 1]))
    places = _apart(ends)
    marks = [MaxNLocator(4).tick_values(low[side], high[side]) for side in (0, 1)]
    marks = [ticks[(ticks >= low[side]) & (ticks <= high[side])] for side, ticks in enumerate(marks)]
    x_pixels = pixels(np.column_stack([marks[0], np.full(len(marks[0]), low[1])]))[:, 0]
    y_pixels = pixels(np.column_stack([np.full(len(marks[1]), low[0]), marks[1]]))[:, 1]
    digits = decimals(float(np.diff(marks[1]).min())) if len(marks[1]) > 1 else 2
    return CurveChart(
        label=name,
        lines=tuple(CurveLine(*line, place) for line, place in zip(lines, places, strict=True)),
        x_ticks=tuple((float(x), f"{mark:,.0f}") for x, mark in zip(x_pixels, marks[0], strict=True)),
        y_ticks=tuple((float(y), number(float(mark), digits)) for y, mark in zip(y_pixels, marks[1], strict=True)),
    )


def _apart(heights: Sequence[float], gap: float = 11.0) -> list[float]:
    """Heights of the names at the ends of lines, moved apart by at least a gap, inside the chart where they fit."""
    order = np.argsort(heights)
    places = np.array(heights, dtype=np.float64)
    for above, below in zip(order[:-1], order[1:], strict=True):
        places[below] = max(places[below], places[above] + gap)
    overflow = max(0.0, float(places.max(initial=0.0)) - (CURVE_HEIGHT - _BOTTOM))
    placed: list[float] = np.maximum(places - overflow, 8.0).tolist()
    return placed
