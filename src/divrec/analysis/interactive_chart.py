"""Geometry of the report's inline SVG charts: one chart a measure of diversity, hover texts included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from divrec.analysis.axes import Axis
from divrec.analysis.chart_style import DrawnSeries, drawn_series, references, view_of
from divrec.analysis.comparison import Setting
from divrec.analysis.group_front import GroupFront
from divrec.analysis.label_placement import Floats, boxes_along, boxes_around, place_labels
from divrec.analysis.wording import change_text, number, share_text
from divrec.schema import TEST

WIDTH, HEIGHT = 900, 520
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 16, 14, 50
_DOT = 6.0
_FONT = 12.5


@dataclass(frozen=True)
class Dot:
    """A setting in the chart: center, shape, CSS class, hover text, error bars (x1, x2, y1, y2) and its label."""

    x: float
    y: float
    shape: str
    style: str
    hover: str
    bars: tuple[float, float, float, float] | None = None
    text: str = ""
    text_x: float = 0.0
    text_y: float = 0.0


@dataclass(frozen=True)
class Line:
    """A series: points of its polyline ("" = none) and its dots."""

    style: str
    polyline: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Chart:
    """All that the template draws of one chart."""

    key: str
    label: str
    lines: tuple[Line, ...]
    references: tuple[Dot, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    control: tuple[float, float]
    out_of_view: str
    ring: tuple[float, float] | None


class _Scale:
    """Maps (diversity, accuracy) on test to pixels."""

    def __init__(self, front: GroupFront, axis: Axis) -> None:
        self._front, self._axis = front, axis
        self.view = view_of(front, axis)
        self.low, self.high = self.view.low, self.view.high

    def values(self, setting: Setting) -> tuple[float, float]:
        return setting.value(self._axis, TEST), setting.value(self._front.accuracy, TEST)

    def pixels(self, values: Sequence[float] | Floats) -> Floats:
        share = (np.asarray(values) - self.low) / (self.high - self.low)
        width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        return np.array([_LEFT + share[0] * width, _TOP + (1 - share[1]) * height])

    def place(self, setting: Setting) -> Floats:
        return self.pixels(self.values(setting))

    def ticks(self, side: int) -> tuple[tuple[float, str], ...]:
        marks = MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(self.low[side], self.high[side])
        marks = marks[(marks >= self.low[side]) & (marks <= self.high[side])]
        step = float(np.diff(marks).min()) if len(marks) > 1 else 0.01
        digits = max(0, int(np.ceil(-np.log10(step) + 0.3)))
        pair = [(mark, self.low[1]) if side == 0 else (self.low[0], mark) for mark in marks]
        return tuple((float(self.pixels(p)[side]), number(float(m), digits)) for p, m in zip(pair, marks, strict=True))


def charts(front: GroupFront) -> tuple[Chart, ...]:
    """One chart for each axis of the group on which a setting has a value."""
    return tuple(_chart(front, axis) for axis in front.axes if np.isfinite(front.control.value(axis, TEST)))


def hover_text(front: GroupFront, setting: Setting, axis: Axis) -> str:
    """What the reader sees over a setting: config, values, changes with intervals; lines split by newlines."""
    record = setting.first.record
    beta = record.objective.get("beta")
    config = [setting.name, f"kind {record.kind}", "" if beta is None else f"beta {beta:g}"]
    if record.rerank:
        config.append(f"{record.rerank.get('name')} at {record.rerank.get('diversity')}")
    lines = [", ".join(part for part in config if part)]
    for each in (axis, front.accuracy):
        text = f"{each.label}: {number(setting.value(each, TEST))}"
        lines.append(text if setting is front.control else f"{text}, change {change_text(setting.change(each))}")
    return "\n".join([*lines, f"{share_text(front.share(setting))} of the control's {front.accuracy.label}"])


def _chart(front: GroupFront, axis: Axis) -> Chart:
    scale = _Scale(front, axis)
    drawn = drawn_series(front)
    labels = _labels(front, scale, drawn)
    lines = tuple(_line(front, axis, scale, (place, line), labels) for place, line in enumerate(drawn))
    marks = []
    for setting, marker in [*references(front), (front.control, "*")]:
        if scale.view.shows(setting):
            x, y = scale.place(setting)
            hover = hover_text(front, setting, axis)
            center = labels[setting]
            where = float(center[0]), float(center[1])
            marks.append(Dot(float(x), float(y), marker, "ink", hover, None, setting.name, *where))
    start = scale.place(front.control)
    ring = scale.place(front.operating) if front.gained and scale.view.shows(front.operating) else None
    return Chart(
        key=axis.key,
        label=axis.label,
        lines=lines,
        references=tuple(marks),
        x_ticks=scale.ticks(0),
        y_ticks=scale.ticks(1),
        control=(float(start[0]), float(start[1])),
        out_of_view=scale.view.note(front, axis),
        ring=None if ring is None else (float(ring[0]), float(ring[1])),
    )


def _line(
    front: GroupFront, axis: Axis, scale: _Scale, numbered: tuple[int, DrawnSeries], labels: dict[Setting, Floats]
) -> Line:
    place, line = numbered
    style = f"s{place}{' dashed' if line.look.dashed else ''}" if line.joined else "faint dashed"
    dots = []
    for setting in line.settings:
        if scale.view.shows(setting):
            center = labels.get(setting, np.zeros(2))
            x, y = scale.place(setting)
            dots.append(
                Dot(
                    x=float(x),
                    y=float(y),
                    shape=line.look.marker,
                    style=style,
                    hover=hover_text(front, setting, axis),
                    bars=_bars(front, axis, scale, setting) if line.joined else None,
                    text=setting.strength if setting in labels else "",
                    text_x=float(center[0]),
                    text_y=float(center[1]),
                )
            )
    corners = [scale.place(s) for s in (front.control, *line.settings) if np.isfinite(scale.values(s)).all()]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners) if line.joined and dots else ""
    return Line(style, path, tuple(dots))


def _bars(front: GroupFront, axis: Axis, scale: _Scale, setting: Setting) -> tuple[float, float, float, float] | None:
    across, upward = setting.change(axis), setting.change(front.accuracy)
    if not (across.known and upward.known):
        return None
    own = np.array(scale.values(front.control))
    low, high = (scale.pixels(own + ends) for ends in ((across.low, upward.low), (across.high, upward.high)))
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def _labels(front: GroupFront, scale: _Scale, drawn: Sequence[DrawnSeries]) -> dict[Setting, Floats]:
    """Centers of the labels: names of the control and the references first, then strengths."""
    texts = {setting: setting.name for setting, _ in references(front)} | {front.control: front.control.name}
    texts |= {setting: setting.strength for line in drawn if line.labeled for setting in line.settings}
    texts = {setting: text for setting, text in texts.items() if text and scale.view.shows(setting)}
    anchors = np.array([scale.place(setting) for setting in texts])
    sizes = np.array([[0.6 * _FONT * len(text) + 1, 0.8 * _FONT] for text in texts.values()])
    large = [scale.place(setting) for setting in (front.control, front.operating)]
    boxes = [boxes_around(np.array([scale.place(setting) for setting in scale.view.inside]), _DOT)]
    boxes.append(boxes_around(np.array(large), 1.9 * _DOT))
    boxes += [
        boxes_along(np.array([scale.place(s) for s in (front.control, *line.settings)]), 0.3 * _DOT)
        for line in drawn
        if line.joined
    ]
    frame = np.array([_LEFT, _TOP, WIDTH - _RIGHT, HEIGHT - _BOTTOM], dtype=np.float64)
    return dict(zip(texts, place_labels(anchors, sizes, np.concatenate(boxes), frame, gap=1.2 * _DOT), strict=True))
