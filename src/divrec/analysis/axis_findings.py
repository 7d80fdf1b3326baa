"""What one measure of diversity says about a group: the setting to ship and why, matched accuracy, knee and prices.

Everything is chosen on the validation split and reported on test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from divrec.analysis.axes import Axis
from divrec.analysis.comparison import Setting
from divrec.analysis.front import MATCHED_SHARES, OPERATING_SHARE, operating_point, way
from divrec.analysis.front_path import WAY_SHARE, knee, price
from divrec.analysis.statistics import Floats, Interval
from divrec.schema import TEST, VALIDATION


@dataclass(frozen=True)
class Step:
    """One step along the front: from a setting to the next more diverse one.

    Attributes:
        start: the setting that one leaves.
        end: the next one.
        gained: diversity gained on test.
        lost: accuracy lost on test.
        price: accuracy lost for one unit of diversity, with its interval.
    """

    start: Setting
    end: Setting
    gained: float
    lost: float
    price: Interval


@dataclass(frozen=True)
class AxisFinding:
    """The findings of one axis.

    Attributes:
        axis: the measure of diversity.
        operating: most diverse setting with at least 95 % of the control's accuracy; the control where none gains.
        stability: share of validation replicates in which the same setting is chosen; NaN without replicates.
        matched: share of the control's accuracy -> the most diverse real setting that keeps it; None = none gains.
        knee: where the way along the front bends; None where it does not.
        knee_stability: share of validation replicates in which the same setting is the knee of the way that is chosen
            there anew; NaN without a knee or replicates.
        steps: the way along the front, from the control on.
    """

    axis: Axis
    operating: Setting
    stability: float
    matched: dict[float, Setting | None]
    knee: Setting | None
    knee_stability: float
    steps: tuple[Step, ...]


def axis_finding(candidates: Sequence[Setting], control: Setting, accuracy: Axis, axis: Axis) -> AxisFinding:
    """Judge the settings that may be shipped on one axis.

    Args:
        candidates: settings that may be shipped, the control may be among them.
        control: the control.
        accuracy: axis of accuracy.
        axis: axis of diversity.
    """
    others = [setting for setting in candidates if setting is not control]
    points, own = pairs(others, (accuracy, axis), VALIDATION), measures(control, (accuracy, axis), VALIDATION)
    chosen = {share: operating_point(points, own, share) for share in (*MATCHED_SHARES, OPERATING_SHARE)}
    operating = chosen[OPERATING_SHARE]
    stops = [control, *(others[place] for place in way(points, own, WAY_SHARE))]
    bend = knee(pairs(stops, (accuracy, axis), VALIDATION))
    return AxisFinding(
        axis=axis,
        operating=control if operating is None else others[operating],
        stability=_stability(others, control, (accuracy, axis), operating),
        matched={share: None if place is None else others[place] for share, place in chosen.items()},
        knee=None if bend is None else stops[bend],
        knee_stability=float("nan")
        if bend is None
        else _knee_stability(others, control, (accuracy, axis), stops[bend]),
        steps=tuple(_step(start, end, (accuracy, axis)) for start, end in zip(stops[:-1], stops[1:], strict=True)),
    )


def measures(setting: Setting, axes: Sequence[Axis], split: str) -> tuple[float, ...]:
    """Values of a setting on several axes."""
    return tuple(setting.value(axis, split) for axis in axes)


def pairs(settings: Sequence[Setting], axes: Sequence[Axis], split: str) -> Floats:
    """Values of settings, (P, M)."""
    return np.array([measures(setting, axes, split) for setting in settings], dtype=np.float64).reshape(-1, len(axes))


def drawn_pairs(settings: Sequence[Setting], axes: Sequence[Axis], split: str) -> Floats | None:
    """Replicates of settings, (R, P, M); None where one of them was not resampled, or there are none."""
    columns = [[setting.drawn(axis, split) for axis in axes] for setting in settings]
    if not columns or any(values is None for row in columns for values in row):
        return None
    return np.moveaxis(np.array(columns, dtype=np.float64), 2, 0)


def _step(start: Setting, end: Setting, axes: tuple[Axis, Axis]) -> Step:
    before, after = measures(start, axes, TEST), measures(end, axes, TEST)
    drawn = drawn_pairs([start, end], axes, TEST)
    none = np.empty((0, 2))
    ends = (none, none) if drawn is None else (drawn[:, 0], drawn[:, 1])
    return Step(start, end, after[1] - before[1], before[0] - after[0], price(before, after, *ends))


def _stability(others: Sequence[Setting], control: Setting, axes: tuple[Axis, Axis], chosen: int | None) -> float:
    points_RP2, own_RP2 = drawn_pairs(others, axes, VALIDATION), drawn_pairs([control], axes, VALIDATION)
    if points_RP2 is None or own_RP2 is None:
        return float("nan")
    kept = points_RP2[:, :, 0] >= OPERATING_SHARE * own_RP2[:, :, 0]
    diverse = np.where(kept & (points_RP2[:, :, 1] > own_RP2[:, :, 1]), points_RP2[:, :, 1], -np.inf)
    best = np.where(np.isfinite(diverse).any(axis=1), diverse.argmax(axis=1), -1)
    return float(np.mean(best == (-1 if chosen is None else chosen)))


def _knee_stability(others: Sequence[Setting], control: Setting, axes: tuple[Axis, Axis], chosen: Setting) -> float:
    points_RP2, own_RP2 = drawn_pairs(others, axes, VALIDATION), drawn_pairs([control], axes, VALIDATION)
    if points_RP2 is None or own_RP2 is None:
        return float("nan")
    same = 0
    for points_P2, own_2 in zip(points_RP2, own_RP2[:, 0], strict=True):
        stops = way(points_P2, own_2.tolist(), WAY_SHARE)
        bend = knee(np.vstack([own_2, points_P2[stops]]))
        same += bend is not None and bend > 0 and others[stops[bend - 1]] is chosen
    return same / len(points_RP2)
