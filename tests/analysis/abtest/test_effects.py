"""Effects against scipy and the bootstrap, sequential intervals, plans and guardrails."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from divrec.analysis.abtest import (
    Design,
    Guardrail,
    always_valid_interval,
    always_valid_p,
    cuped,
    days_needed,
    difference_of_means,
    difference_of_ratios,
    judge_guardrails,
    power_of,
    smallest_effect,
    users_needed,
)
from divrec.errors import ConfigError, DataError

random = np.random.default_rng(0)
CONTROL, TREATMENT = random.exponential(2.0, 400), random.exponential(2.4, 300)


def test_means_are_welchs() -> None:
    effect = difference_of_means(CONTROL, TREATMENT)
    theirs = stats.ttest_ind(TREATMENT, CONTROL, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert effect.p == pytest.approx(theirs.pvalue)
    assert (effect.difference.low, effect.difference.high) == pytest.approx((interval.low, interval.high))
    assert effect.relative.estimate == pytest.approx(TREATMENT.mean() / CONTROL.mean() - 1)
    assert effect.users == (400, 300)


def test_relative_and_ratio_intervals_agree_with_the_bootstrap() -> None:
    generator = np.random.default_rng(1)
    views = [generator.poisson(9, 500) + 1.0, generator.poisson(7, 600) + 1.0]
    clicks = [generator.binomial(v.astype(int), generator.beta(2, 8, len(v))).astype(float) for v in views]
    effect = difference_of_ratios((clicks[0], views[0]), (clicks[1], views[1]))
    drawn, lifts = [], []
    for _ in range(4000):
        ratios = []
        for c, v in zip(clicks, views, strict=True):
            rows = generator.integers(0, len(c), len(c))
            ratios.append(c[rows].sum() / v[rows].sum())
        drawn.append(ratios[1] - ratios[0])
        lifts.append(ratios[1] / ratios[0] - 1)
    assert effect.difference.estimate == pytest.approx(np.mean(drawn), abs=3e-4)
    for interval, values in ((effect.difference, drawn), (effect.relative, lifts)):
        width = np.quantile(values, 0.975) - np.quantile(values, 0.025)
        assert interval.high - interval.low == pytest.approx(width, rel=0.08)


def test_a_ratio_over_ones_is_a_mean() -> None:
    ones = np.ones_like
    ratio = difference_of_ratios((CONTROL, ones(CONTROL)), (TREATMENT, ones(TREATMENT)))
    mean = difference_of_means(CONTROL, TREATMENT)
    assert ratio.standard_error == pytest.approx(mean.standard_error)
    assert ratio.p == pytest.approx(mean.p)


def test_cuped_takes_out_what_the_past_explains() -> None:
    generator = np.random.default_rng(2)
    before = generator.normal(5, 2, 3000)
    outcome = before + generator.normal(0, 1, 3000)
    arm = generator.random(3000) < 0.5
    plain = difference_of_means(outcome[~arm], outcome[arm])
    adjusted, explained = cuped((outcome[~arm], before[~arm]), (outcome[arm], before[arm]))
    assert explained == pytest.approx(0.8, abs=0.03)
    assert adjusted.standard_error == pytest.approx(plain.standard_error * math.sqrt(1 - explained), rel=0.02)
    nothing, none = cuped((outcome[~arm], np.ones((~arm).sum())), (outcome[arm], np.ones(arm.sum())))
    assert none == 0
    assert nothing.difference == plain.difference


def test_arms_without_values_are_refused() -> None:
    with pytest.raises(DataError, match="two users"):
        difference_of_means(CONTROL[:1], TREATMENT)
    with pytest.raises(DataError, match="not finite"):
        difference_of_means(np.array([1.0, np.nan]), TREATMENT)
    with pytest.raises(DataError, match="denominator"):
        difference_of_ratios((CONTROL, 0 * CONTROL), (TREATMENT, TREATMENT))
    with pytest.raises(DataError, match="one value a user"):
        cuped((CONTROL, CONTROL[:-1]), (TREATMENT, TREATMENT))


def test_no_variance_is_certain() -> None:
    effect = difference_of_means(np.ones(5), np.ones(5))
    assert (effect.difference.low, effect.difference.high, effect.p) == (0, 0, 1)
    assert difference_of_means(np.ones(5), 2 * np.ones(5)).p == 0


def test_the_always_valid_interval_is_the_inverse_of_its_test() -> None:
    effect = difference_of_means(CONTROL, TREATMENT)
    interval = always_valid_interval(effect, scale=0.3)
    assert interval.high - interval.low > effect.difference.high - effect.difference.low
    for border in (interval.low, interval.high):
        moved = dataclasses.replace(
            effect, difference=dataclasses.replace(effect.difference, estimate=effect.difference.estimate - border)
        )
        assert always_valid_p([moved], 0.3)[0] == pytest.approx(0.05)


def test_always_valid_p_never_rises() -> None:
    looks = [difference_of_means(CONTROL[:n], TREATMENT[:n]) for n in range(10, 300, 10)]
    p = always_valid_p(looks, 0.3)
    assert (np.diff(p) <= 0).all()
    assert (p <= 1).all()
    with pytest.raises(ConfigError, match="scale"):
        always_valid_p(looks, 0)


def test_peeking_is_safe() -> None:
    generator, alarms = np.random.default_rng(3), {"plain": 0, "always valid": 0}
    for _ in range(300):
        arms = generator.normal(size=(2, 600))
        looks = [difference_of_means(arms[0, :n], arms[1, :n]) for n in range(30, 601, 30)]
        alarms["plain"] += any(look.p < 0.05 for look in looks)
        alarms["always valid"] += always_valid_p(looks, 0.2)[-1] < 0.05
    assert alarms["plain"] / 300 > 0.12
    assert alarms["always valid"] / 300 <= 0.05


def test_plans_agree_with_each_other_and_with_the_textbook() -> None:
    # 16 sigma^2 / delta^2 users an arm (Kohavi et al. 2020), 15.7 to be exact
    design = Design(deviation=2.0)
    users = users_needed(design, 0.1)
    assert users / 2 == pytest.approx(15.7 * 4 / 0.01, rel=0.001)
    assert smallest_effect(design, users) == pytest.approx(0.1, rel=1e-4)
    assert power_of(design, 0.1, users) == pytest.approx(0.8, abs=1e-3)
    assert power_of(design, 0.0, users) == pytest.approx(0.05)
    assert users_needed(dataclasses.replace(design, explained=0.5), 0.1) == pytest.approx(users / 2, abs=1)
    assert users_needed(dataclasses.replace(design, treated=0.1), 0.1) > 2.7 * users


def test_power_is_what_simulated_experiments_have() -> None:
    generator, design = np.random.default_rng(4), Design(deviation=1.0)
    users = users_needed(design, 0.4)
    found = [
        difference_of_means(generator.normal(0, 1, users // 2), generator.normal(0.4, 1, users // 2)).p < 0.05
        for _ in range(600)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=5 * math.sqrt(0.16 / 600))


def test_duration_counts_new_users_in_whole_weeks() -> None:
    new = [100.0] * 7 + [40.0] * 21
    assert days_needed(650, new) == 7
    assert days_needed(701, new) == 14
    assert days_needed(701, new, whole_weeks=False) == 8
    assert days_needed(10_000, new) is None
    assert days_needed(701, new[:8]) is None  # the week's end lies beyond the forecast


@pytest.mark.parametrize(
    "arguments",
    [{"deviation": 0}, {"deviation": 1, "treated": 1}, {"deviation": 1, "alpha": 0}, {"deviation": 1, "explained": 1}],
)
def test_designs_that_make_no_sense_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"design\."):
        Design(**arguments)
    with pytest.raises(ConfigError, match="effect"):
        users_needed(Design(1.0), 0.0)


def test_guardrails() -> None:
    generator = np.random.default_rng(5)
    base = generator.normal(10, 1, 4000)
    effects = {
        "same": difference_of_means(base, generator.normal(10, 1, 4000)),
        "worse": difference_of_means(base, base - 1),
        "few": difference_of_means(base[:8], generator.normal(10, 1, 8)),
        "latency": difference_of_means(base, base + 1),
    }
    guardrails = {name: Guardrail(0.2, higher_is_better=name != "latency") for name in effects}
    assert judge_guardrails(effects, guardrails) == {
        "same": "safe",
        "worse": "harmed",
        "few": "undecided",
        "latency": "harmed",
    }
    with pytest.raises(ConfigError, match="guardrails"):
        judge_guardrails({}, guardrails)
    with pytest.raises(ConfigError, match="margin"):
        Guardrail(0)
