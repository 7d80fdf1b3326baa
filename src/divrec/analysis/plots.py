"""front.png and front.pdf: accuracy against each measure of diversity, all kinds of points on the same axes."""

from __future__ import annotations

import logging
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager, patheffects
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
from divrec.analysis.wording import ENGLISH, Words
from divrec.schema import TEST

_COLUMNS = 3
_PANELS = 6
_WIDTH = 7.2  # inches: the text width of a two-column page, so that letters keep their size in print
_DPI = 334
_LABEL_POINTS = 5.0
_INK = "#1A1A1A"
_STYLE: dict[Any, Any] = {
    "font.size": 6.5,
    "axes.labelsize": 6.5,
    "axes.linewidth": 0.6,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "pdf.fonttype": 42,  # letters stay letters, as journals ask
}
_CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "SimHei",
    "Arial Unicode MS",
)
_log = logging.getLogger(__name__)


def draw_front(front: GroupFront, picture: Path, paper: Path, title: str, words: Words = ENGLISH) -> None:
    """Draw front.png, 2,400 pixels wide, and front.pdf: a panel a measure of diversity, accuracy upward, test split.

    Error bars are 95 % intervals of the paired difference to the control. Settings under 80 % of the control's accuracy
    and baselines far away are out of view and named below the panel. The first six measures are drawn. The PDF has the
    text width of a page and no title.

    Args:
        front: the analyzed group.
        picture: PNG to write.
        paper: PDF to write.
        title: name of the sweep.
        words: language; Chinese needs a font that has its characters, else labels are English.
    """
    words, family = _readable(words)
    with mpl.rc_context(_STYLE | {"font.family": family}):
        figure = _figure(front, ": ".join(part for part in (title, front.name) if part), words)
        figure.savefig(picture, format="png")
        figure.suptitle("")
        figure.savefig(paper, format="pdf", bbox_inches="tight", pad_inches=0.02, metadata={"CreationDate": None})


def _readable(words: Words) -> tuple[Words, list[str]]:
    """Words that can be drawn, and fonts that have their characters."""
    if words.language == "en":
        return words, ["DejaVu Sans"]
    installed = {font.name for font in font_manager.fontManager.ttflist}
    found = next((name for name in _CHINESE_FONTS if name in installed), None)
    if found is None:
        _log.warning(ENGLISH["png.font"])
        return ENGLISH, ["DejaVu Sans"]
    return words, [found, "DejaVu Sans"]


def _figure(front: GroupFront, title: str, words: Words) -> Figure:
    axes = front.axes[:_PANELS]
    rows, columns = math.ceil(len(axes) / _COLUMNS), min(_COLUMNS, len(axes))
    figure = Figure(figsize=(_WIDTH, 2.2 * rows + 0.75), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    lines = drawn_series(front, words)
    for panel, axis in zip(panels, axes, strict=False):
        _draw_panel(panel, front, axis, lines)
        _name_axes(panel, front, axis, words)
    for panel in panels[len(axes) :]:
        panel.set_axis_off()
    figure.suptitle(f"{title}   ({words['png.caption']})", fontsize=7)
    handles = _legend(front, lines, words)
    figure.legend(handles=handles, loc="outside lower center", ncols=min(5, len(handles)), frameon=False, fontsize=6)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # labels are placed for this layout
    for panel, axis in zip(panels, axes, strict=False):
        _label_strengths(panel, front, axis, lines)
    return figure


def _draw_panel(panel: Axes, front: GroupFront, axis: Axis, lines: Sequence[DrawnSeries]) -> None:
    control = _place(front, axis, front.control)
    view = view_of(front, axis)
    panel.axhline(control[1], color="#BBBBBB", linewidth=0.5, zorder=0)
    panel.axvline(control[0], color="#BBBBBB", linewidth=0.5, zorder=0)
    for line in lines:
        _draw_line(panel, front, axis, line)
    for setting, marker in references(front):
        if view.shows(setting):
            x, y = _place(front, axis, setting)
            panel.plot(x, y, marker, color=_INK, markerfacecolor="white", markersize=4.5, markeredgewidth=0.7, zorder=5)
    panel.plot(*control, "*", color=_INK, markersize=7.5, markeredgewidth=0, zorder=6)
    operating = front.findings[axis.key].operating
    if operating is not front.control and view.shows(operating):
        place = _place(front, axis, operating)
        panel.plot(*place, "o", color=_INK, fillstyle="none", markersize=8, markeredgewidth=0.7, zorder=6)


def _name_axes(panel: Axes, front: GroupFront, axis: Axis, words: Words) -> None:
    view = view_of(front, axis)
    panel.set_xlim(view.low[0], view.high[0])
    panel.set_ylim(view.low[1], view.high[1])
    panel.grid(color="#EEEEEE", linewidth=0.4)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set_ylabel(words.label(front.accuracy))
    note = words["png.out"].format(names=view.note(front, axis)) if view.outside else ""
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.set_xlabel(words.label(axis))
    if note:
        wrapped = "\n".join(textwrap.wrap(note, 62))
        panel.annotate(
            wrapped, (0.5, -0.25), xycoords="axes fraction", ha="center", va="top", fontsize=4.6, color="#555555"
        )


def _draw_line(panel: Axes, front: GroupFront, axis: Axis, line: DrawnSeries) -> None:
    places = np.array([_place(front, axis, setting) for setting in line.settings])
    look, color = line.look, line.look.light
    x, y = places[:, 0], places[:, 1]
    if line.joined:
        path = np.vstack([_place(front, axis, front.control), places])
        panel.plot(path[:, 0], path[:, 1], linestyle=look.stroke, linewidth=0.9, alpha=0.9, color=color)
        across = _reach(front, axis, line.settings, x)
        upward = _reach(front, front.accuracy, line.settings, y)
        panel.errorbar(x, y, xerr=across, yerr=upward, fmt="none", elinewidth=0.5, alpha=0.4, ecolor=color)
    face = color if look.filled else "white"
    size, order = (3.4, 3) if line.joined else (2.4, 2)
    panel.plot(x, y, look.marker, markersize=size, markeredgewidth=0.7, color=color, markerfacecolor=face, zorder=order)


def _reach(front: GroupFront, axis: Axis, settings: Sequence[Setting], values: Floats) -> Floats:
    """Lengths of error bars, (2, P): the interval of the difference laid at the control's value."""
    own = front.control.value(axis, TEST)
    ends = np.array([(s.change(axis).low + own, s.change(axis).high + own) for s in settings]).T
    reach: Floats = np.nan_to_num(np.clip(np.stack([values - ends[0], ends[1] - values]), 0, None))
    return reach


def _label_strengths(panel: Axes, front: GroupFront, axis: Axis, lines: Sequence[DrawnSeries]) -> None:
    """Write each strength beside its point; sizes and places are known only after the layout."""
    view = view_of(front, axis)
    labeled = [
        (line, s) for line in lines if line.labeled for s in line.settings if s.strength and view.labels(front, axis, s)
    ]
    if not labeled:
        return
    texts = [setting.strength for _, setting in labeled]
    pixel = _DPI / 72
    sizes = np.array([[0.6 * _LABEL_POINTS * len(text), 0.85 * _LABEL_POINTS] for text in texts]) * pixel
    anchors = panel.transData.transform(np.array([_place(front, axis, setting) for _, setting in labeled]))
    frame = np.array(panel.get_window_extent().extents)
    centers = place_labels(anchors, sizes, _obstacles(panel, front, axis, lines), frame, gap=2.6 * pixel)
    for text, center, anchor, (line, _) in zip(texts, centers, anchors, labeled, strict=True):
        far = np.hypot(*(center - anchor)) > 8 * pixel
        thread = {"arrowstyle": "-", "color": line.look.light, "linewidth": 0.3, "alpha": 0.7, "shrinkA": 0}
        written = panel.annotate(
            text,
            xy=tuple(panel.transData.inverted().transform(anchor)),
            xytext=tuple((center - anchor) / pixel),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_LABEL_POINTS,
            color=line.look.light,
            arrowprops=thread if far else None,
            zorder=7,
        )
        written.set_path_effects([patheffects.withStroke(linewidth=1.2, foreground="white")])


def _obstacles(panel: Axes, front: GroupFront, axis: Axis, lines: Sequence[DrawnSeries]) -> Floats:
    """Markers, rings and lines in pixels."""
    pixel = _DPI / 72
    view = view_of(front, axis)

    def pixels(settings: Sequence[Setting]) -> Floats:
        return np.asarray(panel.transData.transform(np.array([_place(front, axis, s) for s in settings])), dtype=float)

    operating = front.findings[axis.key].operating
    large = [front.control, *([operating] if view.shows(operating) else [])]
    boxes = [boxes_around(pixels(view.inside), 2 * pixel), boxes_around(pixels(large), 4 * pixel)]
    boxes += [boxes_along(pixels([front.control, *line.settings]), 0.6 * pixel) for line in lines if line.joined]
    return np.concatenate(boxes)


def _place(front: GroupFront, axis: Axis, setting: Setting) -> tuple[float, float]:
    return setting.value(axis, TEST), setting.value(front.accuracy, TEST)


def _legend(front: GroupFront, lines: Sequence[DrawnSeries], words: Words) -> list[Line2D]:
    handles = [_handle(words["legend.control"], "*", _INK, _INK)]
    if front.gained:
        handles.append(_handle(words["legend.operating_short"], "o", _INK, "none"))
    for line in lines:
        look = line.look
        if look.label not in [handle.get_label() for handle in handles]:
            handle = _handle(look.label, look.marker, look.light, look.light if look.filled else "white")
            handle.set_linestyle(look.stroke)
            handle.set_linewidth(0.9)
            handle.set_markersize(3.4 if line.joined else 2.4)
            handles.append(handle)
    return handles + [_handle(setting.name, marker, _INK, "white") for setting, marker in references(front)]


def _handle(label: str, marker: str, color: str, face: str) -> Line2D:
    handle = Line2D([], [], label=label, marker=marker, color=color, markerfacecolor=face, linestyle="none")
    handle.set_markersize({"*": 7, "o": 7}.get(marker, 4.5))
    handle.set_markeredgewidth(0.7)
    return handle
