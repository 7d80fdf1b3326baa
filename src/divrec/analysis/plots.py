"""front.png: accuracy against each measure of diversity, kinds of regularizers beside re-rankers and baselines."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from divrec.analysis.axes import Axis
from divrec.analysis.chart_style import DrawnSeries, drawn_series, references, view_of
from divrec.analysis.comparison import Setting
from divrec.analysis.group_front import GroupFront
from divrec.analysis.label_placement import Floats, boxes_along, boxes_around, place_labels
from divrec.schema import TEST

_COLUMNS = 3
_DPI = 150
_LABEL_POINTS = 8.0
_INK = "#1A1A1A"


def draw_front(front: GroupFront, path: Path, title: str) -> None:
    """Draw front.png, 2,400 pixels wide: a panel a measure of diversity, NDCG upward, test split.

    Error bars are 95 % intervals of the paired difference to the control. Settings under 80 % of the control's accuracy
    and baselines far away are out of view and named below the panel.

    Args:
        front: the analyzed group.
        path: file to write.
        title: name of the sweep.
    """
    rows = math.ceil(len(front.axes) / _COLUMNS)
    columns = min(_COLUMNS, len(front.axes))
    figure = Figure(figsize=(16, 4.9 * rows + 1.6), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    lines = drawn_series(front)
    for panel, axis in zip(panels, front.axes, strict=False):
        _draw_panel(panel, front, axis, lines)
    for panel in panels[len(front.axes) :]:
        panel.set_axis_off()
    name = ": ".join(part for part in (title, front.name) if part)
    figure.suptitle(f"{name}   (test split, 95 % intervals of the paired difference to the control)")
    handles = _legend(front, lines)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(handles)), frameon=False, fontsize=10.5)
    figure.draw_without_rendering()
    for panel, axis in zip(panels, front.axes, strict=False):
        _label_strengths(panel, front, axis, lines)
    figure.savefig(path, format="png")


def _draw_panel(panel: Axes, front: GroupFront, axis: Axis, lines: Sequence[DrawnSeries]) -> None:
    control = _place(front, axis, front.control)
    view = view_of(front, axis)
    panel.axhline(control[1], color="#BBBBBB", linewidth=0.8, zorder=0)
    panel.axvline(control[0], color="#BBBBBB", linewidth=0.8, zorder=0)
    for line in lines:
        _draw_line(panel, front, axis, line)
    for setting, marker in references(front):
        if view.shows(setting):
            x, y = _place(front, axis, setting)
            panel.plot(x, y, marker, color=_INK, markerfacecolor="white", markersize=8, zorder=5)
    panel.plot(*control, "*", color=_INK, markersize=15, zorder=6)
    if front.gained and view.shows(front.operating):
        panel.plot(*_place(front, axis, front.operating), "o", color=_INK, fillstyle="none", markersize=15, zorder=6)
    panel.set_xlim(view.low[0], view.high[0])
    panel.set_ylim(view.low[1], view.high[1])
    panel.grid(color="#EEEEEE", linewidth=0.7)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_ylabel(front.accuracy.label)
    note = f"out of view (x, y): {view.note(front, axis)}" if view.outside else ""
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.set_xlabel(axis.label + "\n" + "\n".join(textwrap.wrap(note, 66)), fontsize=10)


def _draw_line(panel: Axes, front: GroupFront, axis: Axis, line: DrawnSeries) -> None:
    places = np.array([_place(front, axis, setting) for setting in line.settings])
    look, color = line.look, line.look.light
    if line.joined:
        path = np.vstack([_place(front, axis, front.control), places])
        panel.plot(path[:, 0], path[:, 1], "--" if look.dashed else "-", linewidth=1.4, alpha=0.9, color=color)
        x, y = places[:, 0], places[:, 1]
        across = _reach(front, axis, line.settings, x)
        upward = _reach(front, front.accuracy, line.settings, y)
        panel.errorbar(x, y, xerr=across, yerr=upward, fmt="none", elinewidth=0.8, alpha=0.45, ecolor=color)
    face = "white" if look.dashed else color
    size, order = (6, 3) if line.joined else (4, 2)
    panel.plot(
        places[:, 0], places[:, 1], look.marker, markersize=size, color=color, markerfacecolor=face, zorder=order
    )


def _reach(front: GroupFront, axis: Axis, settings: Sequence[Setting], values: Floats) -> Floats:
    """Lengths of error bars, (2, P): the interval of the difference laid at the control's value."""
    own = front.control.value(axis, TEST)
    ends = np.array([(s.change(axis).low + own, s.change(axis).high + own) for s in settings]).T
    reach: Floats = np.nan_to_num(np.clip(np.stack([values - ends[0], ends[1] - values]), 0, None))
    return reach


def _label_strengths(panel: Axes, front: GroupFront, axis: Axis, lines: Sequence[DrawnSeries]) -> None:
    """Write each strength beside its point; sizes and places are known only after the layout."""
    view = view_of(front, axis)
    labeled = [(line, s) for line in lines if line.labeled for s in line.settings if s.strength and view.shows(s)]
    if not labeled:
        return
    texts = [setting.strength for _, setting in labeled]
    pixel = _DPI / 72
    sizes = np.array([[0.6 * _LABEL_POINTS * len(text), 0.85 * _LABEL_POINTS] for text in texts]) * pixel
    anchors = panel.transData.transform(np.array([_place(front, axis, setting) for _, setting in labeled]))
    frame = np.array(panel.get_window_extent().extents)
    centers = place_labels(anchors, sizes, _obstacles(panel, front, axis, lines), frame, gap=4.5 * pixel)
    for text, center, anchor, (line, _) in zip(texts, centers, anchors, labeled, strict=True):
        far = np.hypot(*(center - anchor)) > 12 * pixel
        thread = {"arrowstyle": "-", "color": line.look.light, "linewidth": 0.5, "alpha": 0.7, "shrinkA": 0}
        written = panel.annotate(
            text,
            xy=tuple(panel.transData.inverted().transform(anchor)),
            xytext=tuple(center - anchor),
            textcoords="offset pixels",
            ha="center",
            va="center",
            fontsize=_LABEL_POINTS,
            color=line.look.light,
            arrowprops=thread if far else None,
            zorder=7,
        )
        written.set_path_effects([patheffects.withStroke(linewidth=2.2, foreground="white")])


def _obstacles(panel: Axes, front: GroupFront, axis: Axis, lines: Sequence[DrawnSeries]) -> Floats:
    """Markers, rings and lines in pixels."""
    pixel = _DPI / 72
    view = view_of(front, axis)

    def pixels(settings: Sequence[Setting]) -> Floats:
        return np.asarray(panel.transData.transform(np.array([_place(front, axis, s) for s in settings])), dtype=float)

    large = [front.control, *([front.operating] if view.shows(front.operating) else [])]
    boxes = [boxes_around(pixels(view.inside), 3.5 * pixel), boxes_around(pixels(large), 7.5 * pixel)]
    boxes += [boxes_along(pixels([front.control, *line.settings]), pixel) for line in lines if line.joined]
    return np.concatenate(boxes)


def _place(front: GroupFront, axis: Axis, setting: Setting) -> tuple[float, float]:
    return setting.value(axis, TEST), setting.value(front.accuracy, TEST)


def _legend(front: GroupFront, lines: Sequence[DrawnSeries]) -> list[Line2D]:
    handles = [_handle("control (beta = 0)", "*", _INK, _INK)]
    if front.gained:
        handles.append(_handle(f"operating point: {front.operating.name}", "o", _INK, "none"))
    for line in lines:
        look = line.look
        if look.label not in [handle.get_label() for handle in handles]:
            handle = _handle(look.label, look.marker, look.light, "white" if look.dashed else look.light)
            handle.set_linestyle("none" if not line.joined else "--" if look.dashed else "-")
            handle.set_markersize(6 if line.joined else 4)
            handles.append(handle)
    handles += [_handle(setting.name, marker, _INK, "white") for setting, marker in references(front)]
    return handles


def _handle(label: str, marker: str, color: str, face: str) -> Line2D:
    size = {"*": 14, "o": 13}.get(marker, 8)
    return Line2D(
        [], [], label=label, marker=marker, color=color, markerfacecolor=face, markersize=size, linestyle="none"
    )
