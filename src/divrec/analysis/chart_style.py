"""How series and references look: the same colors and markers in front.png and in the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from divrec.analysis.axes import Axis
from divrec.analysis.comparison import Setting
from divrec.analysis.group_front import GroupFront, Series
from divrec.analysis.statistics import Floats
from divrec.analysis.wording import ENGLISH, Words
from divrec.schema import BASE, BASELINE, TEST

# Okabe & Ito (2008), told apart by readers with any common color blindness; then two of Tol's. Yellow is left out: it
# vanishes on white. The second of a pair is for a dark ground.
PALETTE = (
    ("#0072B2", "#5AB4E8"),
    ("#D55E00", "#FF8A3D"),
    ("#009E73", "#2CC79A"),
    ("#C0609A", "#EBA0CC"),
    ("#C98A00", "#FFC04D"),
    ("#3FA0DC", "#9AD8FF"),
    ("#882255", "#E0709F"),
    ("#7A7A20", "#CFCF66"),
)
VISIBLE_SHARE = 0.8  # of the control's accuracy: points below are named beside the panel instead of drawn
RIVAL_SHARE = 0.95  # of the control's accuracy: points above are drawn wherever they lie
_NEAR, _PAD = 0.3, 0.08  # of a panel's span
_BESIDE = 0.06  # of a panel's span: points so near the control are too many for labels
_REFERENCES = {
    "popular": "^",
    "random": "X",
    "item_knn": "s",
    "ease": "h",
    "semantic_knn": "8",
    "popular_recent": "<",
    "epsilon_random": "v",
    "sasrec": "P",
}
_RERANKED = ("D", "o", "^", "v", "P")  # another marker each time that the colors start again
_MARKERS = ("o", "v", "P", "<", ">", "h", "8", "p")
GRAY = ("#8A8A8A", "#9AA0A6")


Stroke = Literal["solid", "dotted", "dashed", "none"]


@dataclass(frozen=True)
class Look:
    """Color on light and dark ground, matplotlib marker, stroke (solid, dotted, dashed or none), name in the legend."""

    light: str
    dark: str
    marker: str
    stroke: Stroke
    label: str

    @property
    def filled(self) -> bool:
        """Markers of trained points are filled, those of derived ones hollow."""
        return self.stroke == "solid"


@dataclass(frozen=True)
class DrawnSeries:
    """Settings of a series and how they look.

    Attributes:
        settings: weakest first.
        look: color, marker and name.
        joined: drawn as a line from the control, with error bars.
        labeled: strengths are written at the points; not where nothing moves, for all lie on the control.
    """

    settings: tuple[Setting, ...]
    look: Look
    joined: bool
    labeled: bool


def drawn_series(front: GroupFront, words: Words = ENGLISH) -> list[DrawnSeries]:
    """Lines to draw.

    Kinds of R are solid and filled, interpolations dotted, re-rankers on the control dashed; re-rankers on trained
    points are small diamonds in the color of their model, those on the base and the baselines gray ones.
    """
    drawn: list[DrawnSeries] = []
    colors: dict[str, tuple[str, str]] = {}
    prominent = [series for series in front.series if _prominent(series, front)]
    for place, series in enumerate(prominent):
        light, dark = PALETTE[place % len(PALETTE)]
        colors |= {setting.name: (light, dark) for setting in series.settings if not series.reranked}
        label = words["legend.no_effect"].format(name=series.name) if series.no_effect else series.name
        marker = _MARKERS[place % len(_MARKERS)] if series.trained else "s" if series.interpolated else _again(place)
        stroke: Stroke = "solid" if series.trained else "dotted" if series.interpolated else "dashed"
        look = Look(light, dark, marker, stroke, label)
        drawn.append(DrawnSeries(series.settings, look, joined=True, labeled=not series.no_effect))
    for series in front.series:
        if series not in prominent:
            pair = colors.get(series.settings[0].name.split("/")[0], GRAY)
            look = Look(pair[0], pair[1], "D", "none", words["legend.reranked_trained"])
            drawn.append(DrawnSeries(series.settings, look, joined=False, labeled=False))
    others = tuple(s for s in front.settings if s.first.derived and not s.first.selectable)
    if others:
        look = Look(GRAY[0], GRAY[1], "D", "none", words["legend.reranked_other"])
        drawn.append(DrawnSeries(others, look, joined=False, labeled=False))
    return drawn


def _again(place: int) -> str:
    return _RERANKED[place // len(PALETTE) % len(_RERANKED)]


def references(front: GroupFront) -> list[tuple[Setting, str]]:
    """The base and the baselines with their markers; the control is drawn apart."""
    found = []
    for setting in front.settings:
        kind = setting.first.record.kind
        if kind == BASELINE and not setting.first.derived:
            found.append((setting, _REFERENCES.get(setting.name, "d")))
        elif kind == BASE and not setting.first.derived:
            found.append((setting, "p"))
    return found


@dataclass(frozen=True)
class View:
    """What a panel shows: ends of its axes as (diversity, accuracy), the settings inside, and those named beside it."""

    low: Floats
    high: Floats
    inside: tuple[Setting, ...]
    outside: tuple[Setting, ...]

    def shows(self, setting: Setting) -> bool:
        """Whether a setting lies inside."""
        return setting in self.inside

    def labels(self, front: GroupFront, axis: Axis, setting: Setting) -> bool:
        """Whether the strength of a setting is written beside it: inside, and not in the crowd around the control."""
        away = np.abs(_place(front, axis, setting) - _place(front, axis, front.control)) / (self.high - self.low)
        return self.shows(setting) and bool(away.max() > _BESIDE)

    def note(self, front: GroupFront, axis: Axis) -> str:
        """The settings out of view with their places, as "random (0.95, 0.002)"."""
        return "; ".join(
            f"{s.name} ({s.value(axis, TEST):.2g}, {s.value(front.accuracy, TEST):.2g})" for s in self.outside
        )


def view_of(front: GroupFront, axis: Axis) -> View:
    """The part of a panel worth seeing: the control and its series down to 80 % of its accuracy.

    The base and the baselines are let in where they lie near, and wherever they come close to the control's accuracy:
    a rival may not hide beyond the edge. A random list would squash all else.
    """
    control = _place(front, axis, front.control)
    places = {setting: _place(front, axis, setting) for setting in front.settings}
    floor = VISIBLE_SHARE * control[1]
    core = np.array([p for s, p in places.items() if s.first.selectable and np.isfinite(p).all() and p[1] >= floor])
    low, high = core.min(axis=0), core.max(axis=0)
    span = np.where(high > low, high - low, np.maximum(0.05 * np.abs(high), 1e-3))
    reach_low, reach_high = low - _NEAR * span, high + _NEAR * span
    rivals = {s for s, p in places.items() if np.isfinite(p).all() and p[1] >= RIVAL_SHARE * control[1]}
    inside = [s for s, p in places.items() if s in rivals or ((p >= reach_low).all() and (p <= reach_high).all())]
    seen = np.array([places[setting] for setting in inside])
    return View(
        low=np.minimum(low, seen.min(axis=0)) - _PAD * span,
        high=np.maximum(high, seen.max(axis=0)) + _PAD * span,
        inside=tuple(inside),
        outside=tuple(setting for setting in front.settings if setting not in inside),
    )


def _place(front: GroupFront, axis: Axis, setting: Setting) -> Floats:
    return np.array([setting.value(axis, TEST), setting.value(front.accuracy, TEST)])


def _prominent(series: Series, front: GroupFront) -> bool:
    return not series.reranked or series.name.endswith(f" on {front.control.name}")
