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
from divrec.analysis.tradeoff import regularizer_of
from divrec.analysis.varied import varied_values
from divrec.analysis.wording import ENGLISH, Words, config_text, decimals, number, share_text
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
        self._front, self.axis = front, axis
        self.view = view_of(front, axis)
        self.low, self.high = self.view.low, self.view.high

    def values(self, setting: Setting) -> tuple[float, float]:
        return setting.value(self.axis, TEST), setting.value(self._front.accuracy, TEST)

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
        digits = decimals(step)
        pair = [(mark, self.low[1]) if side == 0 else (self.low[0], mark) for mark in marks]
        return tuple((float(self.pixels(p)[side]), number(float(m), digits)) for p, m in zip(pair, marks, strict=True))


def charts(front: GroupFront, words: Words = ENGLISH) -> tuple[Chart, ...]:
    """One chart for each axis of the group on which a setting has a value."""
    axes = [axis for axis in front.axes if np.isfinite(front.control.value(axis, TEST))]
    return tuple(_chart(front, axis, words) for axis in axes)


def hover_text(front: GroupFront, setting: Setting, axis: Axis, words: Words = ENGLISH) -> str:
    """What the reader sees over a setting: config, values, changes with intervals; lines split by newlines."""
    record = setting.first.record
    beta, kind = record.objective.get("beta"), words[f"kind.{record.kind}"]
    config = [setting.name, words["hover.kind"].format(kind=kind)]
    config += [words["hover.regularizer"].format(name=name)] if (name := regularizer_of(record)) else []
    if beta is not None:
        config.append(words["hover.beta"].format(beta=f"{beta:g}"))
    if record.rerank:
        knob = record.rerank.get("name"), record.rerank.get("diversity")
        config.append(words["hover.rerank"].format(name=knob[0], diversity=knob[1]))
    if record.interpolation:
        weights = ", ".join(f"{weight:g} {run}" for run, weight in record.interpolation.items())
        config.append(words["hover.mixed"].format(weights=weights))
    if len(setting.points) > 1:
        config.append(words["hover.seeds"].format(seeds=len(setting.points)))
    lines = [", ".join(config)]
    if drawn := varied_values(record, front.varied):
        lines.append(", ".join(f"{key} {config_text(value)}" for key, value in drawn.items()))
    for each in (axis, front.accuracy):
        digits = front.digits(each)
        texts = {"measure": words.label(each), "value": number(setting.value(each, TEST), digits)}
        if setting is front.control:
            lines.append(words["hover.value"].format(**texts))
        else:
            lines.append(words["hover.change"].format(**texts, change=words.change(setting.change(each), digits)))
    share = share_text(front.share(setting))
    return "\n".join([*lines, words["hover.share"].format(share=share, accuracy=words.label(front.accuracy))])


def _chart(front: GroupFront, axis: Axis, words: Words) -> Chart:
    scale = _Scale(front, axis)
    drawn = drawn_series(front, words)
    labels = _labels(front, scale, drawn)
    lines = tuple(
        Line(
            style=f"s{place} {line.look.stroke}",
            polyline=_polyline(front, scale, line),
            dots=_dots(front, scale, (place, line), labels, words),
        )
        for place, line in enumerate(drawn)
    )
    marks = []
    for setting, marker in [*references(front), (front.control, "*")]:
        if scale.view.shows(setting):
            x, y = scale.place(setting)
            hover = hover_text(front, setting, axis, words)
            center = labels[setting]
            where = float(center[0]), float(center[1])
            marks.append(Dot(float(x), float(y), marker, "ink", hover, None, setting.name, *where))
    start = scale.place(front.control)
    operating = front.findings[axis.key].operating
    shown = operating is not front.control and scale.view.shows(operating)
    ring = scale.place(operating) if shown else None
    return Chart(
        key=axis.key,
        label=words.label(axis),
        lines=lines,
        references=tuple(marks),
        x_ticks=scale.ticks(0),
        y_ticks=scale.ticks(1),
        control=(float(start[0]), float(start[1])),
        out_of_view=scale.view.note(front, axis),
        ring=None if ring is None else (float(ring[0]), float(ring[1])),
    )


def _polyline(front: GroupFront, scale: _Scale, line: DrawnSeries) -> str:
    if not line.joined or not any(scale.view.shows(setting) for setting in line.settings):
        return ""
    corners = [scale.place(s) for s in (front.control, *line.settings) if np.isfinite(scale.values(s)).all()]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def _dots(
    front: GroupFront, scale: _Scale, numbered: tuple[int, DrawnSeries], labels: dict[Setting, Floats], words: Words
) -> tuple[Dot, ...]:
    place, line = numbered
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
                    style=f"s{place} {line.look.stroke}",
                    hover=hover_text(front, setting, scale.axis, words),
                    bars=_bars(front, scale, setting) if line.joined else None,
                    text=setting.strength if setting in labels else "",
                    text_x=float(center[0]),
                    text_y=float(center[1]),
                )
            )
    return tuple(dots)


def _bars(front: GroupFront, scale: _Scale, setting: Setting) -> tuple[float, float, float, float] | None:
    across, upward = setting.change(scale.axis), setting.change(front.accuracy)
    if not (across.known and upward.known):
        return None
    own = np.array(scale.values(front.control))
    low, high = (scale.pixels(own + ends) for ends in ((across.low, upward.low), (across.high, upward.high)))
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def _labels(front: GroupFront, scale: _Scale, drawn: Sequence[DrawnSeries]) -> dict[Setting, Floats]:
    """Centers of the labels: names of the control and the references first, then strengths."""
    texts = {setting: setting.name for setting, _ in references(front)} | {front.control: front.control.name}
    strengths = [setting for line in drawn if line.labeled for setting in line.settings]
    texts |= {s: s.strength for s in strengths if scale.view.labels(front, scale.axis, s)}
    texts = {setting: text for setting, text in texts.items() if text and scale.view.shows(setting)}
    anchors = np.array([scale.place(setting) for setting in texts])
    sizes = np.array([[0.6 * _FONT * len(text) + 1, 0.8 * _FONT] for text in texts.values()])
    operating = front.findings[scale.axis.key].operating
    large = [scale.place(setting) for setting in (front.control, operating)]
    boxes = [boxes_around(np.array([scale.place(setting) for setting in scale.view.inside]), _DOT)]
    boxes.append(boxes_around(np.array(large), 1.9 * _DOT))
    boxes += [
        boxes_along(np.array([scale.place(s) for s in (front.control, *line.settings)]), 0.3 * _DOT)
        for line in drawn
        if line.joined
    ]
    frame = np.array([_LEFT, _TOP, WIDTH - _RIGHT, HEIGHT - _BOTTOM], dtype=np.float64)
    return dict(zip(texts, place_labels(anchors, sizes, np.concatenate(boxes), frame, gap=1.2 * _DOT), strict=True))
