"""The front of one group of settings: who is on it, what each series gains, and which setting to ship."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from divrec.analysis.axes import Axis
from divrec.analysis.comparison import Setting, moves_nothing
from divrec.analysis.front import (
    BandGain,
    Floats,
    band_gain,
    front_members,
    hypervolume,
    non_dominated,
    operating_point,
)
from divrec.schema import BASE, BASELINE, CONTROL, SPLITS, TEST, VALIDATION


@dataclass(frozen=True)
class AxisGain:
    """What a set of points gains on one axis; the points of the front are chosen on validation for both splits.

    Attributes:
        band: split -> gain over the band of accuracy, negative on test where the choice did not hold.
        hypervolume: split -> area relative to the control's.
    """

    band: dict[str, BandGain]
    hypervolume: dict[str, float]


@dataclass(frozen=True)
class Series:
    """Settings along one knob: a kind of regularizer as beta grows, or a re-ranker on one model.

    Attributes:
        name: "gini", or "mmr on control".
        settings: weakest first.
        gains: by key of the axis.
        no_effect: on test none of its settings costs or moves anything.
    """

    name: str
    settings: tuple[Setting, ...]
    gains: dict[str, AxisGain]
    no_effect: bool

    @property
    def trained(self) -> bool:
        """Whether it is a kind of regularizer: trained, neither re-ranked afterwards nor interpolated."""
        return not self.settings[0].first.derived


@dataclass(frozen=True)
class GroupFront:
    """A front and all that is said about it.

    Attributes:
        name: what the group is, as a task loss; empty where a sweep has one group.
        accuracy: axis of accuracy.
        axes: axes of diversity; the first decides the operating point.
        settings: all settings, references among them.
        control: the setting that all others are compared with.
        operating: most diverse on validation with at least 95 % of the control's accuracy; may be the control.
        on_front: names of the settings that nobody beats on validation, by key of the axis.
        series: kinds of regularizers first, then re-rankers and interpolations.
        overall: gains of all settings that may be shipped, by key of the axis.
        better_baselines: baselines that beat the operating point on validation, on both measures.
    """

    name: str
    accuracy: Axis
    axes: tuple[Axis, ...]
    settings: tuple[Setting, ...]
    control: Setting
    operating: Setting
    on_front: dict[str, tuple[str, ...]]
    series: tuple[Series, ...]
    overall: dict[str, AxisGain]
    better_baselines: tuple[str, ...]

    @property
    def no_effect(self) -> tuple[str, ...]:
        """Names of the series that neither cost nor move anything."""
        return tuple(series.name for series in self.series if series.no_effect)

    @property
    def gained(self) -> bool:
        """Whether a setting other than the control was chosen."""
        return self.operating is not self.control

    def share(self, setting: Setting, split: str = TEST) -> float:
        """Accuracy as a share of the control's; NaN where the control has none."""
        own = self.control.value(self.accuracy, split)
        return setting.value(self.accuracy, split) / own if own > 0 else float("nan")


def front_of(name: str, settings: Sequence[Setting], axes: tuple[Axis, ...], accuracy: Axis) -> GroupFront:
    """Analyze the settings of one group.

    Args:
        name: name of the group.
        settings: its settings; exactly one is the control.
        axes: axes of diversity.
        accuracy: axis of accuracy.
    """
    control = next(setting for setting in settings if is_control(setting))
    shippable = [setting for setting in settings if setting.first.selectable]
    chosen = operating_point(_pairs(shippable, accuracy, axes[0], VALIDATION), _pair(control, accuracy, axes[0]))
    operating = control if chosen is None else shippable[chosen]
    names = dict.fromkeys(s.first.series for s in shippable if s is not control)
    found = [_series(name, shippable, control, (accuracy, *axes)) for name in names]
    rivals = [setting for setting in settings if setting.first.record.kind == BASELINE]
    beaten = _pair(operating, accuracy, axes[0])
    return GroupFront(
        name=name,
        accuracy=accuracy,
        axes=axes,
        settings=tuple(settings),
        control=control,
        operating=operating,
        on_front={axis.key: _on_front(settings, accuracy, axis) for axis in axes},
        series=tuple(sorted(found, key=lambda series: not series.trained)),
        overall={axis.key: _axis_gain(shippable, control, accuracy, axis) for axis in axes},
        better_baselines=tuple(s.name for s in rivals if np.all(np.array(_pair(s, accuracy, axes[0])) > beaten)),
    )


def is_control(setting: Setting) -> bool:
    """Whether it is the control as trained, not a point derived from it."""
    return setting.first.record.kind == CONTROL and not setting.first.derived


def _series(name: str, shippable: Sequence[Setting], control: Setting, axes: tuple[Axis, ...]) -> Series:
    members = sorted((s for s in shippable if s.first.series == name), key=lambda setting: setting.first.strength)
    gains = {axis.key: _axis_gain(members, control, axes[0], axis) for axis in axes[1:]}
    return Series(name, tuple(members), gains, all(moves_nothing(member, axes) for member in members))


def _on_front(settings: Sequence[Setting], accuracy: Axis, axis: Axis) -> tuple[str, ...]:
    """Nobody beats them on validation; the base is no candidate, for it was trained for another length."""
    candidates = [setting for setting in settings if setting.first.record.kind != BASE]
    mask = non_dominated(_pairs(candidates, accuracy, axis, VALIDATION))
    return tuple(setting.name for setting, kept in zip(candidates, mask, strict=True) if kept)


def _axis_gain(settings: Sequence[Setting], control: Setting, accuracy: Axis, axis: Axis) -> AxisGain:
    others = [setting for setting in settings if setting is not control]
    members = front_members(_pairs(others, accuracy, axis, VALIDATION), _pair(control, accuracy, axis))
    bands, volumes = {}, {}
    for split in SPLITS:
        points, reference = _pairs(others, accuracy, axis, split), _pair(control, accuracy, axis, split)
        bands[split] = band_gain(points, reference, members)
        volumes[split] = hypervolume(points[members], reference)
    return AxisGain(bands, volumes)


def _pair(setting: Setting, accuracy: Axis, axis: Axis, split: str = VALIDATION) -> tuple[float, float]:
    return setting.value(accuracy, split), setting.value(axis, split)


def _pairs(settings: Sequence[Setting], accuracy: Axis, axis: Axis, split: str) -> Floats:
    return np.array([_pair(setting, accuracy, axis, split) for setting in settings], dtype=np.float64).reshape(-1, 2)
