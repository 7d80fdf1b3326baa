"""Arithmetic of a trade-off front: arrays in, arrays out.

Shapes: P points, M measures (accuracy first, then one or two of diversity), T thresholds, L stops of the way along a
front, R replicates. Every measure is maximized;
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
MATCHED_SHARES = (0.99, 0.98, 0.95, 0.9)  # of the control's accuracy, at which diversity is compared
_BAND = np.linspace(LOWEST_SHARE, 1.0, THRESHOLDS)
GRID = np.concatenate([_BAND, MATCHED_SHARES])  # where gains are read off: the band, then the matched shares


@dataclass(frozen=True)
class BandGain:
    """Diversity gained over the control at the same accuracy thresholds, in the measure's own unit.

    Attributes:
        mean: mean gain over the band of 90 to 100 % of the control's accuracy.
        at_99: gain at 99 %.
        at_98: gain at 98 %.
        at_95: gain at 95 %.
        at_90: gain at 90 %.
        reaches: lowest share of the control's accuracy on the way; below it the last gain is held.
    """

    mean: float
    at_99: float
    at_98: float
    at_95: float
    at_90: float
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


def way(points_P2: Floats, control: Sequence[float], share: float = 0.0) -> NDArray[np.intp]:
    """The way along a front: its points that are more diverse than the control, from the least to the most diverse one.

    Args:
        points_P2: (accuracy, diversity), of the validation split where the numbers are reported on test.
        control: the same of the control.
        share: of the control's accuracy that a stop must keep.
    """
    members = front_members(points_P2, control) & (points_P2[:, 1] > control[1])
    stops = np.flatnonzero(members & (points_P2[:, 0] >= share * control[0]))
    return stops[np.lexsort((-points_P2[stops, 0], points_P2[stops, 1]))]


def gains_along(stops_RL2: Floats, control_R2: Floats, shares_T: Floats) -> Floats:
    """Diversity gained where the way falls to a share of the control's accuracy, (R, T): many replicates at once.

    One walks from the control along the stops, on straight lines between them, until the accuracy falls below the
    share for the first time, and to the end of the way where it never does. The stops and their order are given, so
    that no replicate picks the stops that flatter it.

    Args:
        stops_RL2: (accuracy, diversity) of the stops, as `way` orders them, in each replicate.
        control_R2: the same of the control.
        shares_T: shares of the control's accuracy, at most 1.

    Returns:
        Gains over the control's diversity; NaN where the control's accuracy is not positive, or a value is missing.
    """
    corners = np.concatenate([control_R2[:, None], stops_RL2], axis=1)
    accuracy, diversity = corners[:, :, 0], corners[:, :, 1]
    wanted_RT = np.minimum(shares_T * control_R2[:, :1], control_R2[:, :1])
    below_RTL = accuracy[:, None] < wanted_RT[:, :, None]
    last = accuracy.shape[1] - 1
    after = np.where(below_RTL.any(axis=2), below_RTL.argmax(axis=2), last)
    before = np.where(below_RTL.any(axis=2), after - 1, last)
    high, low, start, end = (
        np.take_along_axis(values, place, axis=1) for values in (accuracy, diversity) for place in (before, after)
    )
    share = np.divide(high - wanted_RT, high - low, out=np.zeros_like(high), where=high > low)
    gains: Floats = start + share * (end - start) - control_R2[:, 1:]
    gains[~(control_R2[:, 0] > 0) | ~np.isfinite(corners).all(axis=(1, 2))] = np.nan
    return gains


def band_gain(points_PM: Floats, control: Sequence[float], stops_L: NDArray[np.intp] | None = None) -> BandGain:
    """Mean gain over the band of 90 to 100 % of the control's accuracy (21 thresholds), and at 99, 98, 95 and 90 %.

    Args:
        points_PM: measures of the points; with more than one of diversity see `as_pairs`.
        control: the same of the control.
        stops_L: the stops of the way and their order, where that was decided elsewhere: a front chosen on validation
            and measured on test can have a negative gain. None = the way along the front of these very points.
    """
    points_P2, pair = as_pairs(points_PM, control)
    stops = points_P2[way(points_P2, pair) if stops_L is None else stops_L]
    stops = stops[np.isfinite(stops).all(axis=1)]
    gains = gains_along(stops[None], np.asarray([pair], dtype=np.float64), GRID)[0]
    lowest = min([pair[0], *stops[:, 0]])
    reaches = lowest / pair[0] if pair[0] > 0 else math.nan
    at_99, at_98, at_95, at_90 = map(float, gains[THRESHOLDS:])
    return BandGain(float(gains[:THRESHOLDS].mean()), at_99, at_98, at_95, at_90, float(reaches))


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
