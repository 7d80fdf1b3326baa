"""Intervals that may be looked at every day: valid at all times at once, whenever one stops.

The mixture sequential probability ratio test (Robbins 1970; Johari et al. 2017) with a normal mixture over effects. The
variance is not known but estimated, so these are asymptotic confidence sequences (Waudby-Smith, Arbour, Sinha, Kennedy
& Ramdas 2024, "Time-uniform central limit theory and asymptotic confidence sequences", theorem 2.2, arXiv:2103.06476):
they hold the truth at all looks with the promised chance as the first look that counts moves to many users, and promise
nothing before. Hence `minimum_users`: looks at fewer users, or at users without any variance, say nothing, which is an
unbounded interval and a p of 1.
"""

from __future__ import annotations

import math

import numpy as np

from divrec.analysis.abtest.effects import Effect
from divrec.analysis.statistics import LEVEL, Floats, Interval
from divrec.errors import ConfigError, check_number

MINIMUM_USERS = 100


def always_valid_interval(
    effect: Effect, scale: float, level: float = LEVEL, minimum_users: int = MINIMUM_USERS
) -> Interval:
    """Interval of the difference that holds at all looks together with the chance `level`.

    With s the standard error, tau the scale and r = (s / tau)^2, the difference plus or minus
    s sqrt((1 + r) (2 log(1 / (1 - level)) + log(1 + 1 / r))). That is theorem 2.2 of Waudby-Smith et al. (2024), whose
    rho is tau over the standard deviation.

    Args:
        effect: from the users so far (any of `divrec.analysis.abtest.effects`).
        scale: size of the effects that are expected, a standard deviation in the outcome's unit; it must be fixed
            before the experiment. It decides when the interval is narrowest, never whether it is valid.
        level: of the interval.
        minimum_users: users of the smaller arm from which a look counts, at least 2, fixed before the experiment. Low =
            early answers that rest on a poor estimate of the variance, high = late and safe. The default suits counts
            and shares; where the outcome is rare or has a long tail, take more: as a rule of thumb, as bring 10 events.

    Returns:
        the interval; (-inf, inf) while the smaller arm has fewer users than that or no variance has been seen.

    Raises:
        ConfigError: the scale is not positive, the level not in (0, 1), or the minimum no whole number from 2 up.
    """
    _check(scale, level, minimum_users)
    estimate, error = effect.difference.estimate, effect.standard_error
    if not _says_something(effect, minimum_users):
        return Interval(estimate, -math.inf, math.inf)
    widened = math.hypot(1, error / scale)
    reach = error * widened * math.sqrt(2 * (math.log(1 / (1 - level)) + _log_penalty(error, scale)))
    return Interval(estimate, estimate - reach, estimate + reach)


def always_valid_p(effects: list[Effect], scale: float, minimum_users: int = MINIMUM_USERS) -> Floats:
    """P after each look: the smallest so far of 1 / likelihood ratio; it never rises, and below .05 one may stop.

    Asymptotic in the same sense as `always_valid_interval`, whose inverse it is: a look at fewer than `minimum_users`
    users or at no variance counts as 1, and leaves no trace in later looks.

    Args:
        effects: one a look, in the order of time.
        scale: as in `always_valid_interval`.
        minimum_users: as there.

    Raises:
        ConfigError: as there.
    """
    _check(scale, LEVEL, minimum_users)
    found = [_p(effect, scale) if _says_something(effect, minimum_users) else 1.0 for effect in effects]
    return np.minimum.accumulate(np.asarray(found)) if found else np.empty(0)


def _p(effect: Effect, scale: float) -> float:
    error = effect.standard_error
    standardized = effect.difference.estimate / error / math.hypot(1, error / scale)
    return math.exp(-max(0.0, standardized * standardized / 2 - _log_penalty(error, scale)))


def _log_penalty(error: float, scale: float) -> float:
    """What the mixture pays for not knowing the effect: log(1 + (scale / error)^2) / 2."""
    return math.log(math.hypot(error, scale)) - math.log(error)


def _says_something(effect: Effect, minimum_users: int) -> bool:
    """Whether the look counts: enough users, and a variance was seen."""
    return min(effect.users) >= minimum_users and 0 < effect.standard_error < math.inf


def _check(scale: float, level: float, minimum_users: int) -> None:
    if not (scale > 0 and math.isfinite(scale)):
        raise ConfigError("the scale of effects is positive", where="scale", got=scale)
    if not 0 < level < 1:
        raise ConfigError("a level lies in (0, 1)", where="level", got=level)
    check_number("minimum_users", minimum_users, least=2, whole=True)
