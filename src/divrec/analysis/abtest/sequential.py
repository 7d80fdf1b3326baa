"""Intervals that may be looked at every day: valid at all times at once, whenever one stops.

The mixture sequential probability ratio test (Robbins 1970; Johari et al. 2017) with a normal mixture over effects.
"""

from __future__ import annotations

import math

import numpy as np

from divrec.analysis.abtest.effects import Effect
from divrec.analysis.statistics import LEVEL, Floats, Interval
from divrec.errors import ConfigError


def always_valid_interval(effect: Effect, scale: float, level: float = LEVEL) -> Interval:
    """Interval of the difference that holds at all looks together with the chance `level`.

    Args:
        effect: from the users so far (any of `divrec.analysis.abtest.effects`).
        scale: size of the effects that are expected, a standard deviation in the outcome's unit; it must be fixed
            before the experiment. It decides when the interval is narrowest, never whether it is valid.
        level: of the interval.

    Raises:
        ConfigError: the scale is not positive or the level not in (0, 1).
    """
    _check(scale, level)
    variance, mixture = effect.standard_error**2, scale**2
    if variance == 0:
        return Interval(effect.difference.estimate, *(effect.difference.estimate,) * 2)
    both = variance + mixture
    reach = math.sqrt(2 * variance * both / mixture * (math.log(1 / (1 - level)) + math.log(both / variance) / 2))
    estimate = effect.difference.estimate
    return Interval(estimate, estimate - reach, estimate + reach)


def always_valid_p(effects: list[Effect], scale: float) -> Floats:
    """P after each look: the smallest so far of 1 / likelihood ratio; it never rises, and below .05 one may stop.

    Args:
        effects: one a look, in the order of time.
        scale: as in `always_valid_interval`.

    Raises:
        ConfigError: the scale is not positive.
    """
    _check(scale, LEVEL)
    found = []
    for effect in effects:
        variance, mixture = effect.standard_error**2, scale**2
        difference = effect.difference.estimate
        if variance == 0:
            found.append(float(difference == 0))
            continue
        exponent = mixture * difference**2 / (2 * variance * (variance + mixture))
        log_ratio = math.log(variance / (variance + mixture)) / 2 + exponent
        found.append(math.exp(-max(0.0, log_ratio)))
    return np.minimum.accumulate(np.asarray(found)) if found else np.empty(0)


def _check(scale: float, level: float) -> None:
    if not (scale > 0 and math.isfinite(scale)):
        raise ConfigError("the scale of effects is positive", where="scale", got=scale)
    if not 0 < level < 1:
        raise ConfigError("a level lies in (0, 1)", where="level", got=level)
