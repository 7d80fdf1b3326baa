"""How sure the summary of a front is: bootstrap over users and seeds, arrays in, intervals out.

Every resample draws the same users (and seeds) for all points and the control, and the whole summary is computed anew.
Shapes: S seeds, P points, U users, M measures, V set-level values, R resamples, N items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from divrec.analysis.front import Mask, band_gain, hypervolume
from divrec.analysis.statistics import LEVEL, Floats, Interval, percentile_interval, resampled_means

SUMMARIES = ("mean", "at_98", "at_95", "hypervolume")


def resample_users(values_PUM: Floats, weights_RU: NDArray[np.uint8]) -> Floats:
    """Means of per-user measures in each resample, (R, P, M); NaN values are left out of the mean."""
    return np.stack([resampled_means(values_UM, weights_RU) for values_UM in values_PUM], axis=1)


def resample_lists(
    lists_P: Sequence[sparse.csr_array],
    weights_RU: NDArray[np.uint8],
    measure: Callable[[NDArray[np.int64]], Floats],
) -> Floats:
    """Set-level values in each resample, (R, P, V), moved so that they center on the value of all users.

    A resample holds about 63 % of the users, and fewer users cover fewer items: without that every point would be
    measured on a smaller audience than it has.

    Args:
        lists_P: delivered lists of each point, (U, N) ones.
        weights_RU: from `divrec.analysis.statistics.draw_weights`.
        measure: exposure counts (R, N) -> values (R, V), higher = better.
    """
    found = []
    for lists in lists_P:
        whole = measure(np.asarray(lists.sum(0), dtype=np.int64)[None])[0]
        drawn = measure((lists.T @ weights_RU.T.astype(np.int64)).T)
        found.append(drawn - np.nanmean(drawn, axis=0) + whole)
    return np.stack(found, axis=1)


def over_seeds(values_SRPM: Floats, generator: np.random.Generator) -> Floats:
    """Averages over resampled seeds, (R, P, M): the outer level of a nested bootstrap; one seed is taken as it is."""
    seeds, resamples = values_SRPM.shape[:2]
    shares_RS = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds
    return np.asarray(np.einsum("rs,srpm->rpm", shares_RS, values_SRPM))


def front_intervals(
    points_PM: Floats,
    control: Sequence[float],
    resampled_RPM: Floats,
    resampled_control_RM: Floats,
    members_P: Mask | None = None,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Intervals of what sums a front up.

    Args:
        points_PM: measures of the points, accuracy first, all maximized.
        control: the same of the control.
        resampled_RPM: the same in each resample.
        resampled_control_RM: and of the control, in the same resamples.
        members_P: the front, where it was chosen elsewhere (on validation). None chooses anew in each resample, which
            flatters the front: the best of many noisy points looks better than it is.
        level: of the percentile intervals.

    Returns:
        `SUMMARIES` -> interval, around the value of the points as they are.
    """
    estimate = _summary(points_PM, control, members_P)
    resampled = np.asarray(
        [
            _summary(drawn_PM, drawn_M.tolist(), members_P)
            for drawn_PM, drawn_M in zip(resampled_RPM, resampled_control_RM, strict=True)
        ]
    )
    return {
        name: percentile_interval(estimate[place], resampled[:, place], level) for place, name in enumerate(SUMMARIES)
    }


def _summary(points_PM: Floats, control: Sequence[float], members_P: Mask | None) -> tuple[float, ...]:
    gain = band_gain(points_PM, control, members_P)
    members = points_PM if members_P is None else points_PM[members_P]
    return gain.mean, gain.at_98, gain.at_95, hypervolume(members, control)
