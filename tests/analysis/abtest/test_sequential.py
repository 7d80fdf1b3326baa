"""Always-valid intervals where the variance is poorly known: no variance, few users, rare outcomes, odd scales."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest

from divrec.analysis.abtest import MINIMUM_USERS, Effect, always_valid_interval, always_valid_p, difference_of_means
from divrec.errors import ConfigError

LOOKS = (2, 3, 5, 8, 13, 20, 35, 60, 100, 150, 250, 400)


def _effect(control: list[float], treatment: list[float], times: int = 1) -> Effect:
    return difference_of_means(np.array(control * times), np.array(treatment * times))


SEEN = _effect([0.0, 1.0], [0.0, 1.0], 200)


@pytest.mark.parametrize(
    "effect",
    [
        _effect([0.0], [0.0], 500),  # nobody has bought anything
        _effect([0.0], [1.0], 500),  # all and none: a difference, but no variance
        _effect([0.0] * 2, [1.0] * 2),  # two tiny arms that differ
        _effect([0.0, 1.0], [0.0, 1.0], MINIMUM_USERS // 2 - 1),  # just too few
        difference_of_means(np.arange(5000.0), np.arange(float(MINIMUM_USERS - 1))),  # one arm has too few
        dataclasses.replace(SEEN, standard_error=math.inf),
        dataclasses.replace(SEEN, standard_error=math.nan),
    ],
)
def test_a_look_that_says_nothing_is_unbounded_and_leaves_no_trace(effect: Effect) -> None:
    interval = always_valid_interval(effect, 0.3)
    assert (interval.low, interval.high) == (-math.inf, math.inf)
    assert interval.estimate == effect.difference.estimate
    assert interval.includes_zero
    seen = dataclasses.replace(SEEN, difference=dataclasses.replace(SEEN.difference, estimate=0.2))
    alone = always_valid_p([seen], 0.3)[0]
    assert alone < 0.05
    assert always_valid_p([effect, seen, effect], 0.3).tolist() == [1, alone, alone]


def test_enough_users_are_counted_by_the_smaller_arm() -> None:
    effect = _effect([0.0, 1.0], [0.0, 1.0], 10)
    assert not always_valid_interval(effect, 0.3).known
    assert always_valid_interval(effect, 0.3, minimum_users=20).known
    assert not always_valid_interval(effect, 0.3, minimum_users=21).known
    assert always_valid_interval(_effect([0.0, 1.0], [0.0, 1.0], MINIMUM_USERS // 2), 0.3).known


def test_the_interval_is_that_of_theorem_2_2() -> None:
    # Waudby-Smith et al. (2024), theorem 2.2, for the mean of t values of standard deviation sigma
    t, sigma, rho, alpha = 400, 2.0, 0.15, 0.1
    effect = dataclasses.replace(SEEN, standard_error=sigma / math.sqrt(t))
    theirs = sigma * math.sqrt(2 * (t * rho**2 + 1) / (t * rho) ** 2 * math.log(math.sqrt(t * rho**2 + 1) / alpha))
    ours = always_valid_interval(effect, scale=rho * sigma, level=1 - alpha)
    assert ours.high - ours.estimate == pytest.approx(theirs)
    assert ours.estimate - ours.low == pytest.approx(theirs)


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e9, 1e300])
@pytest.mark.parametrize("error", [1e-300, 1.0, 1e300])
def test_extreme_scales_keep_the_interval_valid(scale: float, error: float) -> None:
    effect = dataclasses.replace(SEEN, standard_error=error)
    interval = always_valid_interval(effect, scale)
    assert interval.high - interval.estimate >= error * 2.4  # sqrt(2 log 20): the price of one look alone
    assert 0 <= always_valid_p([effect], scale)[0] <= 1


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"scale": 0}, "scale"),
        ({"scale": -1}, "scale"),
        ({"scale": math.nan}, "scale"),
        ({"scale": math.inf}, "scale"),
        ({"minimum_users": 1}, "minimum_users"),
        ({"minimum_users": 0}, "minimum_users"),
        ({"minimum_users": 2.5}, "minimum_users"),
        ({"minimum_users": True}, "minimum_users"),
        ({"minimum_users": math.nan}, "minimum_users"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        always_valid_interval(SEEN, **{"scale": 0.3} | arguments)
    with pytest.raises(ConfigError, match=match):
        always_valid_p([], **{"scale": 0.3} | arguments)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan])
def test_levels_lie_between_0_and_1(level: float) -> None:
    with pytest.raises(ConfigError, match="level"):
        always_valid_interval(SEEN, 0.3, level)


@pytest.mark.parametrize(("chance", "scale"), [(0.5, 0.5), (0.02, 0.02), (0.02, 0.2)])
def test_alarms_without_an_effect_stay_below_nominal_from_two_users_on(chance: float, scale: float) -> None:
    generator, experiments, alarms = np.random.default_rng(0), 300, 0
    for _ in range(experiments):
        arms = (generator.random((2, LOOKS[-1])) < chance).astype(float)
        alarms += always_valid_p([difference_of_means(*arms[:, :n]) for n in LOOKS], scale)[-1] < 0.05
    assert alarms / experiments <= 0.05


@pytest.mark.parametrize(("chances", "scale"), [((0.02, 0.03), 0.01), ((0.02, 0.03), 0.1), ((0.1, 0.5), 0.3)])
def test_all_looks_together_hold_the_truth(chances: tuple[float, float], scale: float) -> None:
    generator, experiments, misses = np.random.default_rng(1), 200, 0
    truth = chances[1] - chances[0]
    for _ in range(experiments):
        control, treatment = (generator.random((2, LOOKS[-1])) < np.array(chances)[:, None]).astype(float)
        looks = [always_valid_interval(difference_of_means(control[:n], treatment[:n]), scale) for n in LOOKS]
        misses += not all(look.low <= truth <= look.high for look in looks)
    assert misses / experiments <= 0.05


def test_it_is_the_minimum_that_makes_early_looks_safe() -> None:
    generator, alarms = np.random.default_rng(2), {2: 0, MINIMUM_USERS: 0}
    for _ in range(200):
        arms = generator.exponential(size=(2, LOOKS[-1]))
        looks = [difference_of_means(*arms[:, :n]) for n in LOOKS]
        for minimum in alarms:
            alarms[minimum] += always_valid_p(looks, 0.5, minimum)[-1] < 0.05
    assert alarms[2] / 200 > 0.05
    assert alarms[MINIMUM_USERS] / 200 <= 0.05
