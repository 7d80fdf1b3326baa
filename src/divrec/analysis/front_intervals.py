"""How sure the summary of a front is: bootstrap over users and seeds, arrays in, intervals out.

Every resample draws the same users (and seeds) for all points and the control, and the whole summary is computed anew.
Shapes: S seeds, P points, U users, M measures, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from divrec.analysis.front import GRID, LOWEST_SHARE, THRESHOLDS, gains_along, hypervolume
from divrec.analysis.seed_draws import SeedDraws
from divrec.analysis.statistics import LEVEL, Floats, Interval, percentile_interval, resampled_means

SUMMARIES = ("mean", "at_99", "at_98", "at_95", "at_90", "hypervolume")


def resample_users(values_PUM: Floats, weights_RU: NDArray[np.uint8]) -> Floats:
    """Means of per-user measures in each resample, (R, P, M); NaN values are left out of the mean."""
    return np.stack([resampled_means(values_UM, weights_RU) for values_UM in values_PUM], axis=1)


def over_seeds(values_SRPM: Floats, generator: np.random.Generator) -> Floats:
    """Averages over seeds in each resample, (R, P, M), moved as `SeedDraws` says; one seed is taken as it is."""
    seeds, resamples = values_SRPM.shape[:2]
    shares_RS = SeedDraws.of(seeds, resamples, generator).shares()
    return np.asarray(np.einsum("rs,srpm->rpm", shares_RS, values_SRPM))


def front_intervals(
    points_PM: Floats,
    control: Sequence[float],
    resampled_RPM: Floats,
    resampled_control_RM: Floats,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Intervals of what sums a front up.

    Args:
        points_PM: measures of the stops along a front in their order (see `way`), accuracy first, all maximized.
            Choose them elsewhere (on validation): stops chosen anew in each replicate flatter a front, for the best of
            many noisy points looks better than it is.
        control: the same of the control.
        resampled_RPM: the same in each resample.
        resampled_control_RM: and of the control, in the same resamples.
        level: of the percentile intervals.

    Returns:
        `SUMMARIES` -> interval, around the value of the points as they are.
    """
    estimate = resampled_summaries(points_PM[None], np.asarray(control, dtype=np.float64)[None])
    resampled = resampled_summaries(resampled_RPM, resampled_control_RM)
    return {name: percentile_interval(float(estimate[name][0]), resampled[name], level) for name in SUMMARIES}


def resampled_summaries(points_RPM: Floats, control_RM: Floats) -> dict[str, Floats]:
    """`SUMMARIES` -> its value in each resample, (R,): `band_gain` and `hypervolume` of given stops, for many rows.

    The hypervolume is that of (accuracy, diversity) as `as_pairs` makes them; `volume_interval` keeps all measures.
    Gains need a positive accuracy of the control, the hypervolume all its measures positive; else the row is NaN.
    """
    points_RP2, control_R2 = _pairs_by_row(points_RPM, control_RM)
    gains_RT = gains_along(points_RP2, control_R2, GRID)
    band = {"mean": gains_RT[:, :THRESHOLDS].mean(axis=1)}
    band |= dict(zip(SUMMARIES[1:-1], gains_RT[:, THRESHOLDS:].T, strict=True))
    return band | {"hypervolume": _areas(points_RP2, control_R2)}


def volume_interval(
    points_PM: Floats, control: Sequence[float], resampled_RPM: Floats, resampled_control_RM: Floats
) -> Interval:
    """Interval of the hypervolume in three measures or more; arguments as in `front_intervals`."""
    rows = zip(resampled_RPM, resampled_control_RM, strict=True)
    volumes = np.array([hypervolume(drawn_PM, own_M.tolist()) for drawn_PM, own_M in rows])
    return percentile_interval(hypervolume(points_PM, control), volumes)


def _pairs_by_row(points_RPM: Floats, control_RM: Floats) -> tuple[Floats, Floats]:
    """`as_pairs` of every row."""
    if control_RM.shape[1] == 2:
        return points_RPM, control_RM
    own = control_RM[:, None, 1:]
    relative = np.divide(points_RPM[:, :, 1:], own, out=np.full(points_RPM[:, :, 1:].shape, np.nan), where=own > 0)
    one = np.where((control_RM[:, 1:] > 0).all(axis=1), 1.0, np.nan)
    return np.stack([points_RPM[:, :, 0], relative.mean(axis=2)], axis=2), np.column_stack([control_RM[:, 0], one])


def _areas(points_RP2: Floats, control_R2: Floats) -> Floats:
    """`hypervolume` in two measures for every row."""
    areas: Floats = np.full(len(control_R2), np.nan)
    valid = (control_R2 > 0).all(axis=1)
    beyond = points_RP2[valid] / control_R2[valid, None] - np.array([LOWEST_SHARE, 1.0])
    beyond = np.where((beyond > 0).all(axis=2, keepdims=True), beyond, 0.0)
    order = np.argsort(-beyond[:, :, 0], axis=1)
    beyond = np.take_along_axis(beyond, order[:, :, None], axis=1)
    widths = -np.diff(beyond[:, :, 0], axis=1, append=0.0)
    areas[valid] = (widths * np.maximum.accumulate(beyond[:, :, 1], axis=1)).sum(axis=1)
    return areas
