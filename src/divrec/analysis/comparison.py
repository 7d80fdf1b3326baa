"""Compares the points of a sweep with their controls on the delivered lists, and averages settings over seeds."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from divrec.analysis.axes import Axis
from divrec.analysis.resampling import Bootstrap, ControlReplicates, Drawn
from divrec.analysis.seed_draws import SeedDraws
from divrec.analysis.seeds_and_users import differences_over_seeds, resampled_variances
from divrec.analysis.statistics import Floats, Interval, percentile_interval
from divrec.analysis.tradeoff import Point
from divrec.errors import RecordError
from divrec.schema import BASELINE, SPLITS, TEST

_NEGLIGIBLE = 0.01  # a relative change below this moves nothing that anyone would see
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Setting:
    """What is compared: one point, or the average of the points that differ in the seed only.

    Attributes:
        name: name without the seed.
        points: its points, one a seed.
        values: "validation/ndcg@10" -> value (average over seeds).
        changes: metric -> difference to the control on test; over users, and seeds where there are several.
        by_seed: the same of each point alone, over users.
        replicates: "test/ndcg@10" -> its value in each bootstrap replicate over users and seeds, (R,).
    """

    name: str
    points: tuple[Point, ...]
    values: dict[str, float]
    changes: dict[str, Interval]
    by_seed: tuple[dict[str, Interval], ...] = ()
    replicates: dict[str, Floats] = field(default_factory=dict)

    @property
    def strength(self) -> str:
        """Beta, the re-ranker's diversity or the weight of an interpolation, as text; empty where there is none."""
        return "" if math.isnan(self.first.strength) else f"{self.first.strength:g}"

    @property
    def first(self) -> Point:
        """The point of the first seed."""
        return self.points[0]

    def value(self, axis: Axis, split: str) -> float:
        """Value on an axis, higher = better; NaN where it was not measured."""
        return axis.turned(self.values.get(f"{split}/{axis.metric}", math.nan))

    def drawn(self, axis: Axis, split: str) -> Floats | None:
        """Value on an axis in each replicate, (R,); None where it was not resampled."""
        values = self.replicates.get(f"{split}/{axis.metric}")
        return None if values is None else axis.turned_all(values)

    def placed(self, axis: Axis) -> Interval:
        """Value on an axis on test with its interval over resampled users (and seeds)."""
        drawn = self.drawn(axis, TEST)
        return percentile_interval(self.value(axis, TEST), np.empty(0) if drawn is None else drawn)

    def change(self, axis: Axis) -> Interval:
        """Difference to the control on test, on an axis."""
        interval = self.changes.get(axis.metric, Interval(math.nan))
        return interval.negated() if axis.inverted else interval


@dataclass(frozen=True)
class Comparisons:
    """Every point of a group against its control.

    Attributes:
        changes: name of the point -> metric -> difference on test with its interval over users (the control's are 0).
        differences: name of the point -> "test/ndcg@10" -> replicates of the difference.
        users: name of the point -> metric -> number of users that its difference on test is of.
        controls: name of the control -> "test/ndcg@10" -> replicates of its own value.
        seeds: how the mean over the controls' seeds moves in each replicate, seeds in the order of `controls`.
        broken: messages about unreadable points.
    """

    changes: dict[str, dict[str, Interval]]
    differences: dict[str, dict[str, Floats]]
    users: dict[str, dict[str, int]]
    controls: dict[str, dict[str, Floats]]
    seeds: SeedDraws
    broken: tuple[str, ...]


def compare(points: Sequence[Point], bootstrap: Bootstrap) -> Comparisons:
    """Compare every point with its control on both splits, on the same resampled users.

    Args:
        points: the points of one group, controls among them.
        bootstrap: list size, seed and number of replicates.

    Raises:
        RecordError: a control cannot be read.
    """
    by_name = {point.record.name: point for point in points}
    names = list(dict.fromkeys(point.control for point in points))
    controls = {n: {split: ControlReplicates(by_name[n], split, bootstrap) for split in SPLITS} for n in names}
    changes: dict[str, dict[str, Interval]] = {}
    differences: dict[str, dict[str, Floats]] = {}
    users: dict[str, dict[str, int]] = {}
    broken: list[str] = []
    for name, point in by_name.items():
        try:
            drawn = {split: control.difference(point) for split, control in controls[point.control].items()}
        except RecordError as error:
            broken.append(str(error))
            _log.warning("left out: %s", error)
            continue
        test = drawn[TEST]
        changes[name] = {m: percentile_interval(whole, test.replicates[m]) for m, whole in test.whole.items()}
        differences[name], users[name] = _named(drawn), test.users
    own = {name: _named({split: each.own for split, each in found.items()}) for name, found in controls.items()}
    generator = np.random.default_rng([bootstrap.seed, len(names)])
    seeds = SeedDraws.of(len(names), bootstrap.replicates, generator)
    return Comparisons(changes, differences, users, own, seeds, tuple(broken))


def settings_of(points: Iterable[Point], comparisons: Comparisons) -> list[Setting]:
    """Average the points of each setting over seeds; points without intervals (unreadable) are left out.

    A setting whose runs failed for some seeds is the average control plus its average difference to the controls of
    the same seeds, so that a lucky seed is not taken for an effect.
    """
    settings: dict[str, list[Point]] = {}
    for point in points:
        if point.record.name in comparisons.changes:
            settings.setdefault(point.setting, []).append(point)
    controls = {p.control: p for members in settings.values() for p in members if p.control == p.record.name}
    return [_average(members, controls, comparisons) for members in settings.values()]


def moves_nothing(setting: Setting, axes: Sequence[Axis]) -> bool:
    """Whether a setting costs nothing and gains nothing on test.

    True where on each axis the paired interval over users includes zero or the relative change is under 1 %, for every
    seed by itself: an interval over two or three seeds is so wide that it would hide any effect. An axis without an
    interval decides nothing; without any interval the answer is False.
    """
    verdicts = []
    for changes in setting.by_seed or (setting.changes,):
        for axis in axes:
            interval = changes.get(axis.metric, Interval(math.nan))
            if interval.known:
                control = setting.value(axis, TEST) - setting.change(axis).estimate
                verdicts.append(interval.includes_zero or abs(interval.estimate) < _NEGLIGIBLE * abs(control))
    return bool(verdicts) and all(verdicts)


def _average(members: list[Point], controls: dict[str, Point], comparisons: Comparisons) -> Setting:
    changes, first = comparisons.changes, members[0]
    own = {point.control for point in members}
    incomplete = own != controls.keys() and first.record.kind != BASELINE
    values: dict[str, float] = {}
    for split in SPLITS:
        for metric in first.record.metrics[split]:
            value = _mean(members, split, metric)
            if incomplete:
                value += _mean(controls.values(), split, metric)
                value -= _mean([controls[name] for name in own], split, metric)
            values[f"{split}/{metric}"] = value
    intervals = changes[first.record.name]
    if len(members) > 1:
        intervals = _over_seeds(members, comparisons)
    by_seed = tuple(changes[point.record.name] for point in members)
    return Setting(first.setting, tuple(members), values, intervals, by_seed, _replicates(members, comparisons))


def _over_seeds(members: list[Point], comparisons: Comparisons) -> dict[str, Interval]:
    """Differences on test over seeds and users, for the metrics that all members have."""
    changes = [comparisons.changes[point.record.name] for point in members]
    drawn = [comparisons.differences[point.record.name] for point in members]
    metrics = [metric for metric in changes[0] if all(metric in each for each in changes)]
    differences_SV = np.array([[each[metric].estimate for metric in metrics] for each in changes])
    resampled_RV = np.stack([np.mean([each[f"{TEST}/{m}"] for each in drawn], axis=0) for m in metrics], axis=1)
    counts = [comparisons.users[point.record.name] for point in members]
    users_V = np.array([min(each[metric] for each in counts) for metric in metrics])
    variance_V = resampled_variances(resampled_RV, users_V)
    intervals, _ = differences_over_seeds(differences_SV, variance_V, users_V)
    return dict(zip(metrics, intervals, strict=True))


def _replicates(members: list[Point], comparisons: Comparisons) -> dict[str, Floats]:
    """Replicates of the setting's own values: the controls' of all seeds plus the difference over its own seeds."""
    names = list(comparisons.controls)
    # A baseline has no seed of its own: it stands on the users of one control.
    base = [members[0].control] if members[0].record.kind == BASELINE else names
    base_places = [names.index(name) for name in base]
    own_places = [names.index(point.control) for point in members]
    own = [comparisons.differences[point.record.name] for point in members]
    found: dict[str, Floats] = {}
    for name in own[0]:
        if all(name in each for each in own):
            values = comparisons.seeds.mean([comparisons.controls[each][name] for each in base], base_places)
            found[name] = values + comparisons.seeds.mean([each[name] for each in own], own_places)
    return found


def _named(drawn: dict[str, Drawn]) -> dict[str, Floats]:
    return {f"{split}/{m}": values for split, each in drawn.items() for m, values in each.replicates.items()}


def _mean(points: Iterable[Point], split: str, metric: str) -> float:
    return float(np.mean([point.record.metrics[split].get(metric, math.nan) for point in points]))
