"""Arithmetic of a trade-off front: arrays in, arrays out.

Shapes: P points, M measures (accuracy first, then one or two of diversity), T thresholds. Every measure is maximized;
`control` holds the measures of the model trained alike without a regularizer, and is always part of the front.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LOWEST_SHARE = 0.9  # of the control's accuracy: lower end of the band and the hypervolume's reference
THRESHOLDS = 21
OPERATING_SHARE = 0.95


@dataclass(frozen=True)
class BandGain:
    """Diversity gained over the control at the same accuracy thresholds, in the measure's own unit.

    Attributes:
        mean: mean gain over the band of 90 to 100 % of the control's accuracy.
        at_98: gain at 98 %.
        at_95: gain at 95 %.
        reaches: lowest share of the control's accuracy that a point has; below it the last gain is held.
    """

    mean: float
    at_98: float
    at_95: float
    reaches: float


def non_dominated(points_PM: Floats) -> Mask:
    """Mask of the points that no other point beats: at least as good in all measures, better in one.

    Equal points are all kept; a point with a NaN is never on the front.
    """
    known = np.isfinite(points_PM).all(axis=1)
    mask = np.zeros(len(points_PM), dtype=bool)
    if known.any():
        mask[known] = moocore.is_nondominated(points_PM[known], maximise=True, keep_weakly=True)
    return mask


def hypervolume(points_PM: Floats, control: Sequence[float]) -> float:
    """Volume that the points dominate beyond the reference (90 % of the control's accuracy, the control's diversity).

    All measures are divided by the control's first, so in two of them a value of .01 is, say, 10 % more diversity at
    10 % of the accuracy. NaN where one of the control's measures is not positive.
    """
    if not (min(control) > 0 and all(map(math.isfinite, control))):
        return math.nan
    relative = points_PM[np.isfinite(points_PM).all(axis=1)] / np.asarray(control)
    if len(relative) == 0:
        return 0.0
    reference = [LOWEST_SHARE, *(1.0 for _ in control[1:])]
    return float(moocore.hypervolume(relative, ref=reference, maximise=True))


def front_members(points_PM: Floats, control: Sequence[float]) -> Mask:
    """Mask of the points that neither another point nor the control beats."""
    return non_dominated(np.vstack([points_PM, np.asarray(control)]))[:-1]


def as_pairs(points_PM: Floats, control: Sequence[float]) -> tuple[Floats, tuple[float, float]]:
    """Points and control as (accuracy, diversity): what gains are read off.

    Two measures stay as they are. With more, diversity is the mean of the measures, each divided by the control's: a
    gain of .1 then is 10 % more on average, all at the same point, so that two half fronts do not add up to one.
    """
    if len(control) == 2:
        return points_PM, (control[0], control[1])
    own = np.asarray(control[1:])
    diversity = np.divide(points_PM[:, 1:], own, out=np.full(points_PM[:, 1:].shape, np.nan), where=own > 0).mean(1)
    return np.column_stack([points_PM[:, 0], diversity]), (control[0], 1.0 if (own > 0).all() else math.nan)


def gains_at(points_P2: Floats, control: tuple[float, float], shares_T: Floats) -> Floats:
    """Diversity gained at thresholds of accuracy, by linear interpolation along points sorted by accuracy.

    The control joins unless one of the points is at least as accurate and as diverse. Below the least accurate point
    the last value is held: less accuracy is never needed to have that diversity.

    Args:
        points_P2: (accuracy, diversity) of the points of a front, as `front_members` picks them.
        control: (accuracy, diversity) of the control.
        shares_T: thresholds as shares of the control's accuracy, at most 1.

    Returns:
        (T,) gains over the control's diversity; NaN where the control's accuracy is not positive.
    """
    if not control[0] > 0:
        return np.full(len(shares_T), np.nan)
    members = points_P2[np.isfinite(points_P2).all(axis=1)]
    if not (members >= np.asarray(control)).all(axis=1).any():
        members = np.vstack([members.reshape(-1, 2), np.asarray(control)])
    members = members[np.lexsort((members[:, 1], members[:, 0]))]
    accuracies, first = np.unique(members[:, 0], return_index=True)
    diversities = np.maximum.reduceat(members[:, 1], first)  # of equally accurate points the most diverse
    return np.interp(shares_T * control[0], accuracies, diversities) - control[1]


def band_gain(points_PM: Floats, control: Sequence[float], members_P: Mask | None = None) -> BandGain:
    """Mean gain over the band of 90 to 100 % of the control's accuracy (21 thresholds), and at 98 and 95 %.

    Args:
        points_PM: measures of the points; with more than one of diversity see `as_pairs`.
        control: the same of the control.
        members_P: which points form the front, where that was decided elsewhere: a front chosen on validation and
            measured on test can have a negative gain. None = the upper envelope of these very points.
    """
    points_P2, pair = as_pairs(points_PM, control)
    members = points_P2[front_members(points_P2, pair) if members_P is None else members_P]
    gains = gains_at(members, pair, np.linspace(LOWEST_SHARE, 1.0, THRESHOLDS))
    at_98, at_95 = gains_at(members, pair, np.asarray([0.98, OPERATING_SHARE]))
    lowest = min([pair[0], *members[np.isfinite(members).all(axis=1), 0]])
    reaches = lowest / pair[0] if pair[0] > 0 else math.nan
    return BandGain(float(gains.mean()), float(at_98), float(at_95), float(reaches))


def operating_point(points_PM: Floats, control: Sequence[float], share: float = OPERATING_SHARE) -> int | None:
    """Index of the most diverse point that keeps a share of the control's accuracy; None = the control itself.

    Of equally diverse points the most accurate. Give it values of the validation split.
    """
    points_P2, control = as_pairs(points_PM, control)
    known = np.isfinite(points_P2).all(axis=1)
    kept = np.flatnonzero(known & (points_P2[:, 0] >= share * control[0]) & (points_P2[:, 1] > control[1]))
    if kept.size == 0:
        return None
    order = np.lexsort((points_P2[kept, 0], points_P2[kept, 1]))
    return int(kept[order[-1]])
