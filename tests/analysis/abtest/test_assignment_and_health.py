"""Assignment is a pure function with the planned shares; broken experiments are noticed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from divrec.analysis.abtest import Assignment, position, sample_ratio
from divrec.errors import ConfigError, DataError

USERS = [f"user-{number}" for number in range(20_000)]

# python -c "from divrec.analysis.abtest import position; print([position('e', u) for u in ('a', 'b', 'ä')])"
GOLDEN = {"a": 0.18169267832194602, "b": 0.49704698086671817, "ä": 0.06650452677252305}


def test_positions_are_the_same_everywhere() -> None:
    assert {user: position("e", user) for user in GOLDEN} == GOLDEN


def test_positions_are_uniform_and_independent_between_experiments() -> None:
    first = np.array([position("first", user) for user in USERS])
    second = np.array([position("second", user) for user in USERS])
    for places in (first, second):
        assert places.min() >= 0
        assert places.max() < 1
        assert stats.kstest(places, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / math.sqrt(len(USERS))


def test_shares_are_kept_and_the_rest_is_in_no_arm() -> None:
    assignment = Assignment("shelf", {"control": 0.5, "mmr": 0.2})
    arms = [assignment.arm(user) for user in USERS]
    for arm, share in {"control": 0.5, "mmr": 0.2, None: 0.3}.items():
        error = math.sqrt(share * (1 - share) / len(USERS))
        assert arms.count(arm) / len(USERS) == pytest.approx(share, abs=5 * error)
    assert arms == [assignment.arm(user) for user in USERS]


def test_a_growing_last_arm_moves_nobody_else() -> None:
    small, large = Assignment("x", {"a": 0.3, "b": 0.1}), Assignment("x", {"a": 0.3, "b": 0.6})
    for user in USERS[:2000]:
        assert small.arm(user) is None or small.arm(user) == large.arm(user)


def test_thirds_leave_nobody_out() -> None:
    thirds = Assignment("x", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3})
    assert all(thirds.arm(user) for user in USERS[:3000])


@pytest.mark.parametrize("shares", [{}, {"a": 0.0}, {"a": -0.1}, {"a": 0.7, "b": 0.4}, {"a": math.nan}])
def test_shares_that_make_no_sense_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="shares"):
        Assignment("x", shares)
    with pytest.raises(ConfigError, match="name"):
        Assignment("", {"a": 1.0})


def test_sample_ratio_by_hand() -> None:
    # chi squared of 5,200 and 4,800 against 5,000 each: 16, one degree of freedom
    ratio = sample_ratio({"a": 5200, "b": 4800}, {"a": 1, "b": 1})
    assert ratio.p == pytest.approx(stats.chi2.sf(16, 1))
    assert ratio.mismatch
    assert not sample_ratio({"a": 5050, "b": 4950}, {"a": 1, "b": 1}).mismatch
    assert sample_ratio({"a": 900, "b": 100}, {"a": 0.9, "b": 0.1}).p == pytest.approx(1)


def test_unplanned_arms_are_refused() -> None:
    for observed in ({"a": 3}, {"a": 3, "c": 3}, {"a": 0, "b": 0}):
        with pytest.raises(DataError):
            sample_ratio(observed, {"a": 1, "b": 1})


@pytest.mark.parametrize("share", [0, -0.5, math.nan, math.inf])
def test_planned_shares_are_positive(share: float) -> None:
    with pytest.raises(ConfigError, match="shares: a planned share is positive; got {'b'"):
        sample_ratio({"a": 3000, "b": 20}, {"a": 1, "b": share})


@pytest.mark.parametrize("count", [-1, 2.5, math.nan, math.inf])
def test_users_by_arm_are_counts(count: float) -> None:
    with pytest.raises(DataError, match="arms: users by arm are counts; got {'b'"):
        sample_ratio({"a": 3, "b": count}, {"a": 1, "b": 1})  # type: ignore[dict-item]
