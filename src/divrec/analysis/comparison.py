"""Compares the points of a sweep with their controls on the delivered lists, and averages settings over seeds."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from divrec.analysis.axes import Axis
from divrec.analysis.records import read_slates, read_users
from divrec.analysis.statistics import (
    RESAMPLES,
    SET_RESAMPLES,
    Floats,
    Interval,
    draw_weights,
    list_matrix,
    mean_differences,
    resampled_set_level,
    seed_interval,
    shifted_interval,
)
from divrec.analysis.tradeoff import Point
from divrec.errors import RecordError
from divrec.schema import BASELINE, RANK, SPLIT, SPLITS, TEST, USER_ID

_NEGLIGIBLE = 0.01  # a relative change below this moves nothing that anyone would see
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made: list size k, seed, resamples for per-user means and for set-level values."""

    k: int
    seed: int = 0
    resamples: int = RESAMPLES
    set_resamples: int = SET_RESAMPLES


@dataclass(frozen=True, eq=False)
class Setting:
    """What is compared: one point, or the average of the points that differ in the seed only.

    Attributes:
        name: name without the seed.
        points: its points, one a seed.
        values: "validation/ndcg@10" -> value (average over seeds).
        changes: metric -> difference to the control on test; over users for one seed, over seeds for several.
        by_seed: the same of each point alone, over users.
    """

    name: str
    points: tuple[Point, ...]
    values: dict[str, float]
    changes: dict[str, Interval]
    by_seed: tuple[dict[str, Interval], ...] = ()

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

    def change(self, axis: Axis) -> Interval:
        """Difference to the control on test, on an axis."""
        interval = self.changes.get(axis.metric, Interval(math.nan))
        return interval.negated() if axis.inverted else interval


class ControlComparison:
    """Compares points with one control on the same resampled users of the test split."""

    def __init__(self, control: Point, bootstrap: Bootstrap) -> None:
        """Read the control.

        Args:
            control: the control's point.
            bootstrap: resamples and seed.

        Raises:
            RecordError: the control's files cannot be read.
        """
        self._bootstrap = bootstrap
        self._users, self._slates = _read_test(control, bootstrap.k)
        self._items = int(control.record.data["items"])
        self._set_level: dict[bytes, tuple[Floats, Floats]] = {}  # of the control, by the users in common

    def changes(self, point: Point) -> dict[str, Interval]:
        """Paired 95 % interval of every per-user metric, of coverage and of Gini: point minus control.

        Raises:
            RecordError: the point's files cannot be read, or it shares no user with the control.
        """
        users, slates = _read_test(point, self._bootstrap.k)
        common = self._users.index.intersection(users.index, sort=False)
        if common.empty:
            raise RecordError("no user in common with the control", where=str(point.folder), mend="Evaluate it again.")
        if len(common) < max(len(users), len(self._users)):
            _log.warning("%s: compared on the %d users that the control has too", point.record.name, len(common))
        metrics = [metric for metric in self._users.columns if metric in users.columns]
        weights = draw_weights(len(common), self._bootstrap.resamples, self._generator())
        pair = [frame.loc[common, metrics].to_numpy(np.float64) for frame in (users, self._users)]
        changes = dict(zip(metrics, mean_differences(pair[0], pair[1], weights), strict=True))
        mine, theirs = self._resample(slates, common), self._control_set_level(common)
        estimates, differences = mine[0] - theirs[0], mine[1] - theirs[1]
        for column, name in enumerate((f"coverage@{self._bootstrap.k}", f"gini@{self._bootstrap.k}")):
            changes[name] = shifted_interval(float(estimates[column]), differences[:, column])
        return changes

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(self._bootstrap.seed)  # anew each time: all points see the same resamples

    def _resample(self, slates: pd.DataFrame, users: pd.Index) -> tuple[Floats, Floats]:
        lists = list_matrix(slates, users)
        plain = np.ones((1, len(users)), dtype=np.uint8)
        weights = draw_weights(len(users), self._bootstrap.set_resamples, self._generator())
        values = [resampled_set_level(lists, drawn, self._items) for drawn in (plain, weights)]
        return values[0][0], values[1]

    def _control_set_level(self, users: pd.Index) -> tuple[Floats, Floats]:
        key = self._users.index.get_indexer(users).tobytes()
        if key not in self._set_level:
            self._set_level[key] = self._resample(self._slates, users)
        return self._set_level[key]


def compare(points: Sequence[Point], bootstrap: Bootstrap) -> tuple[dict[str, dict[str, Interval]], list[str]]:
    """Differences of every point to its control on test.

    Args:
        points: the points of one group, controls among them.
        bootstrap: resamples and seed.

    Returns:
        Intervals by metric for each point's name (the control's are zero), and messages about unreadable points.

    Raises:
        RecordError: a control cannot be read.
    """
    by_name = {point.record.name: point for point in points}
    comparisons: dict[str, ControlComparison] = {}
    changes: dict[str, dict[str, Interval]] = {}
    broken: list[str] = []
    for point in by_name.values():
        if point.control not in comparisons:
            comparisons[point.control] = ControlComparison(by_name[point.control], bootstrap)
        try:
            changes[point.record.name] = comparisons[point.control].changes(point)
        except RecordError as error:
            broken.append(str(error))
            _log.warning("left out: %s", error)
    return changes, broken


def settings_of(points: Iterable[Point], changes: dict[str, dict[str, Interval]]) -> list[Setting]:
    """Average the points of each setting over seeds; points without intervals (unreadable) are left out.

    A setting whose runs failed for some seeds is the average control plus its average difference to the controls of
    the same seeds, so that a lucky seed is not taken for an effect.
    """
    settings: dict[str, list[Point]] = {}
    for point in points:
        if point.record.name in changes:
            settings.setdefault(point.setting, []).append(point)
    controls = {p.control: p for members in settings.values() for p in members if p.control == p.record.name}
    return [_average(members, controls, changes) for members in settings.values()]


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


def _average(members: list[Point], controls: dict[str, Point], changes: dict[str, dict[str, Interval]]) -> Setting:
    own = {point.control for point in members}
    incomplete = own != controls.keys() and members[0].record.kind != BASELINE
    values: dict[str, float] = {}
    for split in SPLITS:
        for metric in members[0].record.metrics[split]:
            value = _mean(members, split, metric)
            if incomplete:
                value += _mean(controls.values(), split, metric)
                value -= _mean([controls[name] for name in own], split, metric)
            values[f"{split}/{metric}"] = value
    intervals = changes[members[0].record.name]
    if len(members) > 1:
        intervals = {
            metric: seed_interval([changes[point.record.name][metric].estimate for point in members])
            for metric in intervals
            if all(metric in changes[point.record.name] for point in members)
        }
    by_seed = tuple(changes[point.record.name] for point in members)
    return Setting(members[0].setting, tuple(members), values, intervals, by_seed)


def _mean(points: Iterable[Point], split: str, metric: str) -> float:
    return float(np.mean([point.record.metrics[split].get(metric, math.nan) for point in points]))


def _read_test(point: Point, k: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    users = read_users(point.folder, TEST).set_index(USER_ID).drop(columns=SPLIT)
    slates = read_slates(point.folder, TEST)
    return users, slates[slates[RANK] <= k]
