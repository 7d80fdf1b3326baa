"""Estimates from logs against the known worth of a policy, and what a log must hold."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest

from divrec.analysis.abtest import LoggedEvents, doubly_robust, inverse_propensity, self_normalized
from divrec.errors import ConfigError, DataError

WORTH = np.array([[0.1, 0.5, 0.3], [0.6, 0.2, 0.4]])  # mean reward by context and action
LOGGING = np.array([[0.6, 0.2, 0.2], [0.2, 0.3, 0.5]])
TARGET = np.array([[0.1, 0.8, 0.1], [0.7, 0.1, 0.2]])
TRUTH = float((TARGET * WORTH).sum(1).mean())


def _log(events: int, generator: np.random.Generator) -> tuple[LoggedEvents, np.ndarray, np.ndarray]:
    context = generator.integers(0, 2, events)
    action = np.array([generator.choice(3, p=LOGGING[c]) for c in context])
    rewards = (generator.random(events) < WORTH[context, action]).astype(float)
    log = LoggedEvents(rewards, LOGGING[context, action], TARGET[context, action])
    guess = WORTH + 0.1  # a biased predictor
    return log, guess[context, action], (TARGET * guess).sum(1)[context]


def test_estimators_by_hand() -> None:
    log = LoggedEvents(np.array([1.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.25]), np.array([0.5, 1.0, 0.5]))
    assert inverse_propensity(log).estimate == pytest.approx((1 + 0 + 2) / 3)
    assert inverse_propensity(log, clip=1.5).estimate == pytest.approx((1 + 0 + 1.5) / 3)
    assert self_normalized(log).estimate == pytest.approx(3 / 5)
    assert doubly_robust(log, np.full(3, 0.5), np.full(3, 0.4)).estimate == pytest.approx((0.9 - 0.6 + 1.4) / 3)


def test_estimates_are_unbiased_and_their_intervals_cover() -> None:
    generator = np.random.default_rng(0)
    found: dict[str, list[float]] = {"ips": [], "snips": [], "dr": []}
    covered = dict.fromkeys(found, 0)
    for _ in range(250):
        log, predicted, expected = _log(400, generator)
        estimates = {
            "ips": inverse_propensity(log),
            "snips": self_normalized(log),
            "dr": doubly_robust(log, predicted, expected),
        }
        for name, interval in estimates.items():
            found[name].append(interval.estimate)
            covered[name] += interval.low <= TRUTH <= interval.high
    for name, values in found.items():
        assert np.mean(values) == pytest.approx(TRUTH, abs=4 * np.std(values) / math.sqrt(250) + 0.003), name
        assert covered[name] / 250 > 0.9, name
    assert np.std(found["dr"]) < np.std(found["ips"])  # even a biased predictor takes variance out


def test_the_logging_policy_itself_is_its_mean() -> None:
    rewards, chance = np.array([1.0, 0.0, 0.0, 1.0]), np.array([0.3, 0.2, 0.9, 1.0])
    same = LoggedEvents(rewards, chance, chance)
    assert same.effective_share == 1
    for interval in (inverse_propensity(same), self_normalized(same), doubly_robust(same, rewards * 0, rewards * 0)):
        assert interval.estimate == pytest.approx(0.5)


def test_events_of_one_user_do_not_count_as_many() -> None:
    generator = np.random.default_rng(1)
    rewards = np.repeat(generator.random(50), 20)
    chance = np.full(1000, 0.5)
    alone = inverse_propensity(LoggedEvents(rewards, chance, chance))
    together = inverse_propensity(LoggedEvents(rewards, chance, chance, np.repeat(np.arange(50), 20)))
    assert together.high - together.low > 3 * (alone.high - alone.low)
    assert not inverse_propensity(LoggedEvents(rewards, chance, chance, np.zeros(1000, dtype=int))).known


def test_a_log_that_says_little_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    target = np.full(1000, 0.0)
    target[0] = 1.0
    with caplog.at_level(logging.WARNING):
        inverse_propensity(LoggedEvents(np.ones(1000), np.full(1000, 0.5), target))
    assert "too far from the log" in caplog.text


@pytest.mark.parametrize(
    ("rewards", "logged", "target", "match"),
    [
        ([1.0], [0.0], [0.5], "logged propensities"),
        ([1.0], [1.2], [0.5], "logged propensities"),
        ([1.0, 0.0, 1.0], [0.5, 1.5, 1.2], [0.5] * 3, r"\(0, 1\]; got '1\.5 at event 1, 2 such events'"),
        ([1.0, 0.0], [0.5, math.nan], [0.5] * 2, "got 'nan at event 1, 1 such events'"),
        ([1.0, 0.0], [0.5, 0.5], [0.5, 1.5], r"\[0, 1\]; got '1\.5 at event 1"),
        ([1.0, -math.inf], [0.5, 0.5], [0.5, 0.5], "rewards that are not finite; got '-inf at event 1"),
        ([1.0], [0.5], [-0.1], "target propensities"),
        ([1.0, 2.0], [0.5], [0.5], "one value an event"),
        ([], [], [], "one value an event"),
        ([math.nan], [0.5], [0.5], "not finite"),
    ],
)
def test_impossible_logs_are_refused(
    rewards: list[float], logged: list[float], target: list[float], match: str
) -> None:
    with pytest.raises(DataError, match=match):
        LoggedEvents(np.array(rewards), np.array(logged), np.array(target))


def test_a_policy_that_takes_no_logged_action_has_no_estimate() -> None:
    log = LoggedEvents(np.ones(3), np.ones(3), np.zeros(3))
    with pytest.raises(DataError, match="takes no logged action"):
        self_normalized(log)
    with pytest.raises(DataError, match="prediction"):
        doubly_robust(log, np.ones(2), np.ones(3))


@pytest.mark.parametrize("clip", [-1, 0, math.nan, -math.inf])
def test_the_greatest_weight_is_positive(clip: float) -> None:
    with pytest.raises(ConfigError, match="clip: the greatest weight is positive"):
        inverse_propensity(LoggedEvents(np.ones(3), np.ones(3), np.ones(3)), clip=clip)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_predictions_are_finite(wrong: float) -> None:
    log, odd = LoggedEvents(np.ones(3), np.ones(3), np.ones(3)), np.array([0.5, wrong, 0.5])
    with pytest.raises(DataError, match="predicted_E: predictions that are not finite; got .* at event 1"):
        doubly_robust(log, odd, np.ones(3))
    with pytest.raises(DataError, match="expected_E: predictions that are not finite"):
        doubly_robust(log, np.ones(3), odd)


@pytest.mark.parametrize("level", [0, 1, 95, math.nan])
def test_levels_lie_between_0_and_1(level: float) -> None:
    log = LoggedEvents(np.ones(3), np.ones(3), np.ones(3))
    for estimate in (
        lambda: inverse_propensity(log, level=level),
        lambda: self_normalized(log, level),
        lambda: doubly_robust(log, np.ones(3), np.ones(3), level),
    ):
        with pytest.raises(ConfigError, match="level"):
            estimate()
