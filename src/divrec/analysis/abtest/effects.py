"""Difference between two arms: of means, of ratios, and with the variance that the past explains taken out.

Arrays hold one value a user, for the user is what was randomized.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from divrec.analysis.statistics import LEVEL, Floats, Interval
from divrec.errors import DataError


@dataclass(frozen=True)
class Effect:
    """What the treatment changed.

    Attributes:
        control: mean (or ratio) of the control arm.
        treatment: the same of the treated arm.
        difference: treatment minus control, with its interval.
        relative: the same over the control's value, with its interval (delta method); NaN where that is not positive.
        standard_error: of the difference.
        p: two-sided, of no difference.
        users: of both arms, control first.
    """

    control: float
    treatment: float
    difference: Interval
    relative: Interval
    standard_error: float
    p: float
    users: tuple[int, int]


def difference_of_means(control: Floats, treatment: Floats, level: float = LEVEL) -> Effect:
    """Welch's comparison (1947): unequal variances and sizes are fine.

    Args:
        control: outcome of each user of the control arm.
        treatment: the same of the treated arm.
        level: of the intervals.

    Raises:
        DataError: an arm has fewer than two users, or a value is not finite.
    """
    arms = [_checked(values) for values in (control, treatment)]
    means, variances = zip(*((values.mean(), values.var(ddof=1) / len(values)) for values in arms), strict=True)
    sizes = (len(arms[0]), len(arms[1]))
    return _effect(means, variances, sizes, _welch_freedom(variances, sizes), level)


def difference_of_ratios(
    control: tuple[Floats, Floats], treatment: tuple[Floats, Floats], level: float = LEVEL
) -> Effect:
    """Difference of sum(numerator) / sum(denominator), as clicks over impressions, by the delta method (Deng 2018).

    The denominator is random and belongs to the user too: treating each impression as independent would give intervals
    that are too narrow.

    Args:
        control: numerator and denominator of each user of the control arm.
        treatment: the same of the treated arm.
        level: of the intervals.

    Raises:
        DataError: an arm has fewer than two users, a value is not finite, or a denominator sums to 0 or less.
    """
    ratios, variances = zip(*(_ratio(*arm) for arm in (control, treatment)), strict=True)
    sizes = (len(control[0]), len(treatment[0]))
    return _effect(ratios, variances, sizes, _welch_freedom(variances, sizes), level)


def cuped(
    control: tuple[Floats, Floats], treatment: tuple[Floats, Floats], level: float = LEVEL
) -> tuple[Effect, float]:
    """Difference of means with the pre-period regressed out (CUPED, Deng et al. 2013).

    y - theta (x - mean x) with one theta for both arms, from their pooled covariances: x was there before the
    treatment, so it moves no expectation, only variance.

    Args:
        control: outcome y and pre-period value x of each user of the control arm.
        treatment: the same of the treated arm.
        level: of the intervals.

    Returns:
        the effect, and the share of the outcome's variance that x explained (0 = nothing was won).

    Raises:
        DataError: as `difference_of_means`.
    """
    outcomes, before = zip(*((_checked(y), _checked(x)) for y, x in (control, treatment)), strict=True)
    if any(len(y) != len(x) for y, x in zip(outcomes, before, strict=True)):
        raise DataError("not one value a user", where="pre-period", got=[len(x) for x in before])
    residual_y, residual_x = (
        np.concatenate([values - values.mean() for values in arms]) for arms in (outcomes, before)
    )
    explained = residual_x @ residual_x
    theta = float(residual_x @ residual_y / explained) if explained > 0 else 0.0
    center = np.concatenate(before).mean()
    adjusted = [y - theta * (x - center) for y, x in zip(outcomes, before, strict=True)]
    total = float(residual_y @ residual_y)
    share = theta**2 * explained / total if total > 0 else 0.0
    return difference_of_means(adjusted[0], adjusted[1], level), float(share)


def _effect(
    values: tuple[float, ...], variances: tuple[float, ...], sizes: tuple[int, int], freedom: float, level: float
) -> Effect:
    control, treatment = float(values[0]), float(values[1])
    difference, error = treatment - control, math.sqrt(variances[0] + variances[1])
    reach = float(stats.t.ppf((1 + level) / 2, freedom))
    p = float(2 * stats.t.sf(abs(difference) / error, freedom)) if error > 0 else float(difference == 0)
    relative = Interval(math.nan)
    if control > 0:
        # variance of treatment / control to first order
        spread = math.sqrt(variances[1] + (treatment / control) ** 2 * variances[0]) / control
        lift = difference / control
        relative = Interval(lift, lift - reach * spread, lift + reach * spread)
    interval = Interval(difference, difference - reach * error, difference + reach * error)
    return Effect(control, treatment, interval, relative, error, p, sizes)


def _ratio(numerator: Floats, denominator: Floats) -> tuple[float, float]:
    """The ratio of an arm and the variance of its estimate."""
    above, below = _checked(numerator), _checked(denominator)
    if len(above) != len(below):
        raise DataError("not one value a user", where="ratio", got=(len(above), len(below)))
    if not below.sum() > 0:
        raise DataError("the denominator sums to nothing", where="ratio", got=float(below.sum()))
    ratio = float(above.sum() / below.sum())
    residual = above - ratio * below
    return ratio, float(residual.var(ddof=1) / len(below) / below.mean() ** 2)


def _welch_freedom(variances: tuple[float, ...], sizes: tuple[int, int]) -> float:
    parts = sum(variance**2 / (size - 1) for variance, size in zip(variances, sizes, strict=True))
    return float(sum(variances) ** 2 / parts) if parts > 0 else float(sum(sizes) - 2)


def _checked(values: Floats) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        raise DataError("an arm has at least two users", where="experiment", got=len(array))
    if not np.isfinite(array).all():
        count = int((~np.isfinite(array)).sum())
        raise DataError(
            "values that are not finite", where="experiment", got=count, mend="A user without an outcome has 0."
        )
    return array
