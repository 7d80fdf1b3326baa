"""How many users and days an experiment needs, and what it could see with those it has.

Two-sided tests of a difference of means between two arms, by the normal approximation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from divrec.errors import ConfigError


@dataclass(frozen=True)
class Design:
    """What is fixed before an experiment.

    Attributes:
        deviation: standard deviation of the outcome between users.
        treated: share of the experiment's users in the treated arm.
        alpha: rate of false alarms.
        power: chance to see an effect that is there.
        explained: share of the variance that CUPED takes out.
    """

    deviation: float
    treated: float = 0.5
    alpha: float = 0.05
    power: float = 0.8
    explained: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not (self.deviation > 0 and math.isfinite(self.deviation)):
            raise ConfigError("a deviation is positive", where="design.deviation", got=self.deviation)
        for name in ("treated", "alpha", "power"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError("lies in (0, 1)", where=f"design.{name}", got=getattr(self, name))
        if not 0 <= self.explained < 1:
            raise ConfigError("lies in [0, 1)", where="design.explained", got=self.explained)

    @property
    def variance(self) -> float:
        """Of the difference, times the number of users."""
        return self.deviation**2 * (1 - self.explained) / (self.treated * (1 - self.treated))


def users_needed(design: Design, effect: float) -> int:
    """Users of both arms together that see an effect with the design's power.

    Args:
        design: what is fixed.
        effect: smallest difference that matters, in the outcome's unit.

    Raises:
        ConfigError: the effect is 0 or not finite.
    """
    if effect == 0 or not math.isfinite(effect):
        raise ConfigError("an effect that matters is not 0", where="effect", got=effect)
    quantiles = float(stats.norm.isf(design.alpha / 2) + stats.norm.ppf(design.power))
    return math.ceil(design.variance * (quantiles / effect) ** 2)


def smallest_effect(design: Design, users: int) -> float:
    """The effect that so many users see with the design's power (minimum detectable effect)."""
    _check_users(users)
    quantiles = float(stats.norm.isf(design.alpha / 2) + stats.norm.ppf(design.power))
    return quantiles * math.sqrt(design.variance / users)


def power_of(design: Design, effect: float, users: int) -> float:
    """The chance that so many users see an effect; for no effect, alpha."""
    _check_users(users)
    shift = abs(effect) / math.sqrt(design.variance / users)
    border = float(stats.norm.isf(design.alpha / 2))
    return float(stats.norm.sf(border - shift) + stats.norm.cdf(-border - shift))


def days_needed(users: int, new_users_by_day: list[float], whole_weeks: bool = True) -> int | None:
    """Days until so many users have come, rounded up to whole weeks; None = never within the forecast.

    Args:
        users: of both arms together.
        new_users_by_day: users that enter the experiment for the first time, by its day; returning ones do not count.
        whole_weeks: weekdays differ, so a test should hold each equally often; then the forecast must reach the week's
            end.
    """
    _check_users(users)
    total = 0.0
    for day, entering in enumerate(new_users_by_day, start=1):
        total += entering
        if total >= users:
            days = 7 * math.ceil(day / 7) if whole_weeks else day
            return days if days <= len(new_users_by_day) else None
    return None


def _check_users(users: int) -> None:
    if users < 1:
        raise ConfigError("is at least 1", where="users", got=users)
