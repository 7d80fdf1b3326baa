"""A difference between two settings that are known by a few seeds and the same users: interval and p.

Shapes: S seeds, U users, M metrics (or V values of any kind).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from divrec.analysis.statistics import LEVEL, Floats, Interval

_SMALLEST_LOG_P = -600.0  # e^-600: quantiles of t with one degree of freedom are still finite there
_HALVINGS = 60


def user_variances(differences_SUM: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Sampling variance of the mean difference over users, and their number: (M,) each.

    It is that of the users' differences averaged over seeds, over U: Var_u(mean_s d_su) / U. NaN in one seed leaves a
    user out of that metric; NaN where fewer than two users are left.
    """
    averaged_UM = differences_SUM.mean(0)
    users_M = (~np.isnan(averaged_UM)).sum(0)
    centered_UM = averaged_UM - np.nansum(averaged_UM, 0) / np.maximum(users_M, 1)
    squares_M = np.nansum(centered_UM**2, 0)
    return np.divide(squares_M, (users_M - 1) * users_M, out=np.full(len(users_M), np.nan), where=users_M > 1), users_M


def group_differences(one_SUM: Floats, other_SUM: Floats) -> list[Interval]:
    """Of each metric, how much larger the mean of one group of users is than that of another, with its interval.

    Args:
        one_SUM: a value of each seed, user and metric, such as a paired difference between two settings.
        other_SUM: the same of other users and the same seeds, two at least.

    Returns:
        M intervals over seeds and users (`differences_over_seeds`). No user is in both groups, so their variances add;
        the smaller group's degrees of freedom are on the safe side.
    """
    (one_M, of_one_M), (other_M, of_other_M) = user_variances(one_SUM), user_variances(other_SUM)
    differences_SM = np.nanmean(one_SUM, 1) - np.nanmean(other_SUM, 1)
    return differences_over_seeds(differences_SM, one_M + other_M, np.minimum(of_one_M, of_other_M))[0]


def resampled_variances(resampled_RV: Floats, users_V: NDArray[np.int64]) -> Floats:
    """The same variance, (V,), by the bootstrap: of values that resampled users have.

    A resampled mean varies by the users' variance over U as if their own mean were the true one: U / (U - 1) mends it.

    Args:
        resampled_RV: values in R resamples; NaN = none in that resample.
        users_V: number of users; NaN comes out where there are fewer than two.
    """
    variance_V = np.ma.masked_invalid(resampled_RV).var(axis=0).filled(np.nan)
    return variance_V * np.divide(users_V, users_V - 1, out=np.full(len(users_V), np.nan), where=users_V > 1)


def differences_over_seeds(
    differences_SV: Floats, user_variance_V: Floats, users_V: NDArray[np.int64], level: float = LEVEL
) -> tuple[list[Interval], Floats]:
    """Interval and two-sided p of the mean difference over seeds, where other seeds and other users were possible.

    The mean difference has two sources of chance that are estimated apart: s^2 / S from the spread of the seeds'
    differences, with S - 1 degrees of freedom, and the users' variance with U - 1. The interval is
    mean +- sqrt(t(S-1)^2 s^2 / S + t(U-1)^2 user_variance): each source is stretched by its own quantile of Student's
    t. So it holds the level at least, whatever the ratio of the two (Banerjee 1960, Sankhya 22), and exactly where one
    of them is all. p is the level at which the interval just holds 0, so the two never disagree. Noise of a user in a
    seed enters both sources, which is on the safe side.

    With few seeds the seeds' spread is stretched far: t = 12.7 with 2 seeds, 4.3 with 3, 2.8 with 5 (level .95).

    Args:
        differences_SV: difference of each seed, all users together; at least two seeds.
        user_variance_V: variance of the mean over seeds by the draw of users.
        users_V: their number.
        level: of the intervals.

    Returns:
        V intervals and p (V,). Both are NaN where a difference or a variance is unknown, and where all variance is 0
        but the difference is not: nothing is there to judge it by. A difference of 0 without variance has p = 1.
    """
    seeds = len(differences_SV)
    mean_V = differences_SV.mean(0)
    errors = np.sqrt(differences_SV.var(0, ddof=1) / seeds), np.sqrt(user_variance_V)
    freedom = np.full(len(mean_V), seeds - 1), np.maximum(users_V - 1, 1)
    known_V = np.isfinite(mean_V) & np.isfinite(errors[0]) & np.isfinite(errors[1])
    still_V = known_V & (np.hypot(*errors) <= 1e-12 * np.abs(differences_SV).max(0))
    reach_V = _reach(errors, freedom, np.full(len(mean_V), 1 - level))
    low_V, high_V = np.full(len(mean_V), _SMALLEST_LOG_P), np.zeros(len(mean_V))
    for _ in range(_HALVINGS):
        middle_V = (low_V + high_V) / 2
        holds_V = _reach(errors, freedom, np.exp(middle_V)) >= np.abs(mean_V)
        low_V, high_V = np.where(holds_V, middle_V, low_V), np.where(holds_V, high_V, middle_V)
    nothing_V = still_V & (np.abs(mean_V) == 0)
    p_V = np.where(nothing_V, 1.0, np.where(known_V & ~still_V, np.exp(low_V), np.nan))
    intervals = [
        Interval(float(mean), float(mean - reach), float(mean + reach)) if np.isfinite(p) else Interval(float(mean))
        for mean, reach, p in zip(mean_V, reach_V, p_V, strict=True)
    ]
    return intervals, p_V


def _reach(
    errors: tuple[Floats, Floats], freedom: tuple[NDArray[np.int64], NDArray[np.int64]], alpha_V: Floats
) -> Floats:
    parts = [error * stats.t.isf(alpha_V / 2, degrees) for error, degrees in zip(errors, freedom, strict=True)]
    return np.asarray(np.hypot(*parts))
