"""The front of one group of settings: who is on it, what each series gains, and which setting to ship."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from divrec.analysis.axes import Axis, joint_axes, joint_key
from divrec.analysis.axis_findings import AxisFinding, axis_finding, drawn_pairs, measures, pairs
from divrec.analysis.comparison import Setting, moves_nothing
from divrec.analysis.front import BandGain, Floats, as_pairs, band_gain, front_members, hypervolume, non_dominated, way
from divrec.analysis.front_intervals import SUMMARIES, front_intervals, resampled_summaries, volume_interval
from divrec.analysis.statistics import Interval
from divrec.analysis.varied import varied_keys
from divrec.schema import BASE, BASELINE, CONTROL, SPLITS, TEST, VALIDATION, RunRecord

_NOISE = 1e-6  # a value below is a zero of single precision: the distance of two equal vectors, say


@dataclass(frozen=True)
class AxisGain:
    """What a set of points gains on one axis, or on two at once; the front is chosen on validation for both splits.

    Attributes:
        band: split -> gain over the band of accuracy, negative on test where the choice did not hold.
        hypervolume: split -> area (or volume) relative to the control's.
        intervals: `SUMMARIES` -> interval on test over resampled users and seeds.
        means_R: the mean gain on test in each replicate; None without replicates.
    """

    band: dict[str, BandGain]
    hypervolume: dict[str, float]
    intervals: dict[str, Interval]
    means_R: Floats | None


@dataclass(frozen=True)
class Series:
    """Settings along one knob: a kind of regularizer as beta grows, or a re-ranker on one model.

    Attributes:
        name: "gini", or "mmr on control".
        settings: weakest first.
        gains: by key of the axis, or of two joint axes.
        no_effect: on test none of its settings costs or moves anything.
    """

    name: str
    settings: tuple[Setting, ...]
    gains: dict[str, AxisGain]
    no_effect: bool

    @property
    def trained(self) -> bool:
        """Whether it is a kind of regularizer: trained, neither re-ranked afterwards nor interpolated."""
        return not self.reranked and not self.interpolated

    @property
    def reranked(self) -> bool:
        """Whether it is a re-ranker on some model."""
        return bool(self.settings[0].first.record.rerank)

    @property
    def interpolated(self) -> bool:
        """Whether its weights are mixed from those of siblings (and the lists delivered as they came)."""
        return bool(self.settings[0].first.record.interpolation) and not self.reranked


@dataclass(frozen=True)
class GroupFront:
    """A front and all that is said about it.

    Attributes:
        name: what the group is, as a task loss; empty where a sweep has one group.
        accuracy: axis of accuracy.
        axes: axes of diversity; the first decides the operating point.
        joints: pairs of axes of diversity that are judged at once, each measure divided by the control's.
        settings: all settings, references among them.
        control: the setting that all others are compared with.
        findings: by key of the axis: operating point, matched accuracy, knee and prices.
        on_front: names of the settings that nobody beats on validation, by key of the axis.
        series: kinds of regularizers first, then re-rankers and interpolations.
        overall: gains of all settings that may be shipped, by key of the axis, or of two joint axes.
        better_baselines: baselines that beat the operating point on validation, on both measures.
    """

    name: str
    accuracy: Axis
    axes: tuple[Axis, ...]
    joints: tuple[tuple[Axis, Axis], ...]
    settings: tuple[Setting, ...]
    control: Setting
    findings: dict[str, AxisFinding]
    on_front: dict[str, tuple[str, ...]]
    series: tuple[Series, ...]
    overall: dict[str, AxisGain]
    better_baselines: tuple[str, ...]

    @property
    def records(self) -> list[RunRecord]:
        """Records of all points, seed by seed."""
        return [point.record for setting in self.settings for point in setting.points]

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """Config keys in which its controls and trained points differ."""
        return varied_keys(self.records)

    @property
    def no_effect(self) -> tuple[str, ...]:
        """Names of the series that neither cost nor move anything."""
        return tuple(series.name for series in self.series if series.no_effect)

    @property
    def operating(self) -> Setting:
        """Most diverse on validation (first axis) with at least 95 % of the control's accuracy; may be the control."""
        return self.findings[self.axes[0].key].operating

    @property
    def gained(self) -> bool:
        """Whether a setting other than the control was chosen."""
        return self.operating is not self.control

    def digits(self, axis: Axis) -> int:
        """Decimals that tell values of an axis apart: four, and more where the control's own value is small."""
        own = abs(self.control.value(axis, TEST))
        return min(7, max(4, 2 + math.ceil(-math.log10(own)))) if _NOISE < own < math.inf else 4

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
    findings = {axis.key: axis_finding(shippable, control, accuracy, axis) for axis in axes}
    joints = joint_axes(axes)
    sets = [*((axis,) for axis in axes), *joints]
    names = dict.fromkeys(s.first.series for s in shippable if s is not control)
    found = [_series(name, shippable, control, accuracy, sets) for name in names]
    rivals = [setting for setting in settings if setting.first.record.kind == BASELINE]
    beaten = measures(findings[axes[0].key].operating, (accuracy, axes[0]), VALIDATION)
    return GroupFront(
        name=name,
        accuracy=accuracy,
        axes=axes,
        joints=joints,
        settings=tuple(settings),
        control=control,
        findings=findings,
        on_front={axis.key: _on_front(settings, accuracy, axis) for axis in axes},
        series=tuple(sorted(found, key=lambda series: not series.trained)),
        overall={joint_key(axes): _axis_gain(shippable, control, (accuracy, *axes)) for axes in sets},
        better_baselines=tuple(
            s.name for s in rivals if np.all(np.array(measures(s, (accuracy, axes[0]), VALIDATION)) > beaten)
        ),
    )


def is_control(setting: Setting) -> bool:
    """Whether it is the control as trained, not a point derived from it."""
    return setting.first.record.kind == CONTROL and not setting.first.derived


def _series(
    name: str, shippable: Sequence[Setting], control: Setting, accuracy: Axis, sets: Sequence[tuple[Axis, ...]]
) -> Series:
    members = sorted((s for s in shippable if s.first.series == name), key=lambda setting: setting.first.strength)
    gains = {joint_key(axes): _axis_gain(members, control, (accuracy, *axes)) for axes in sets}
    axes = (accuracy, *(axes[0] for axes in sets if len(axes) == 1))
    return Series(name, tuple(members), gains, all(moves_nothing(member, axes) for member in members))


def _on_front(settings: Sequence[Setting], accuracy: Axis, axis: Axis) -> tuple[str, ...]:
    """Nobody beats them on validation; the base is no candidate, for it was trained for another length."""
    candidates = [setting for setting in settings if setting.first.record.kind != BASE]
    mask = non_dominated(pairs(candidates, (accuracy, axis), VALIDATION))
    return tuple(setting.name for setting, kept in zip(candidates, mask, strict=True) if kept)


def _axis_gain(settings: Sequence[Setting], control: Setting, axes: tuple[Axis, ...]) -> AxisGain:
    others = [setting for setting in settings if setting is not control]
    points, reference = pairs(others, axes, VALIDATION), measures(control, axes, VALIDATION)
    stops = way(*as_pairs(points, reference))
    corners = stops if len(axes) == 2 else np.flatnonzero(front_members(points, reference))  # of the volume
    bands, volumes = {}, {}
    for split in SPLITS:
        points, reference = pairs(others, axes, split), measures(control, axes, split)
        bands[split] = band_gain(points, reference, stops)
        volumes[split] = hypervolume(points[corners], reference)
    drawn, own = drawn_pairs(others, axes, TEST), drawn_pairs([control], axes, TEST)
    if own is not None and not others:
        drawn = own[:, :0]
    if drawn is None or own is None:
        known = {name: Interval(getattr(bands[TEST], name, volumes[TEST])) for name in SUMMARIES}
        return AxisGain(bands, volumes, known, None)
    intervals = front_intervals(points[stops], reference, drawn[:, stops], own[:, 0])
    if len(axes) > 2:
        intervals |= {"hypervolume": volume_interval(points[corners], reference, drawn[:, corners], own[:, 0])}
    return AxisGain(bands, volumes, intervals, resampled_summaries(drawn[:, stops], own[:, 0])["mean"])
