"""Differences over seeds and users: Student's t at both ends, and false alarms that stay below their rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from divrec.analysis.seeds_and_users import (
    differences_over_seeds,
    group_differences,
    resampled_variances,
    user_variances,
)

Floats = np.ndarray


def _judged(differences_SUM: Floats, level: float = 0.95) -> tuple[list, Floats]:
    variances, users = user_variances(differences_SUM)
    return differences_over_seeds(np.nanmean(differences_SUM, axis=1), variances, users, level)


def _crossed(seeds: int, seed_share: float, generator: np.random.Generator, metrics: int = 2000) -> Floats:
    """Differences of 80 users whose mean over seeds has variance 1; no true difference, and noise of user in seed."""
    users, noise = 80, 0.1
    parts = (
        (seed_share * (1 - noise) * seeds, (seeds, 1, metrics)),
        ((1 - seed_share) * (1 - noise) * users, (1, users, metrics)),
        (noise * seeds * users, (seeds, users, metrics)),
    )
    return np.asarray(sum(np.sqrt(variance) * generator.normal(size=shape) for variance, shape in parts))


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("seed_share", [0.0, 0.5, 0.9])
def test_false_alarms_stay_below_their_rate(seeds: int, seed_share: float) -> None:
    intervals, p = _judged(_crossed(seeds, seed_share, np.random.default_rng(seeds)))
    chance = 4 * np.sqrt(0.05 * 0.95 / len(p))
    assert np.mean(p < 0.05) < 0.05 + chance
    assert np.mean(p < 0.005) < 0.005 + chance / 3
    if seeds > 2:
        assert np.mean(p < 0.05) > 0.01  # near the rate, not far below it
    assert [each.includes_zero for each in intervals] == (p >= 0.05).tolist()


def test_a_difference_beyond_both_spreads_is_found() -> None:
    differences = _crossed(5, 0.5, np.random.default_rng(0)) + 4.5
    intervals, p = _judged(differences)
    assert np.mean(p < 0.05) > 0.8
    assert np.mean([each.low <= 4.5 <= each.high for each in intervals]) > 0.95


def test_without_spread_of_users_it_is_the_t_test_over_seeds() -> None:
    differences = np.random.default_rng(1).normal(0.5, 1, size=(4, 3))
    intervals, p = differences_over_seeds(differences, np.zeros(3), np.full(3, 50))
    expected = stats.ttest_1samp(differences, 0)
    assert p == pytest.approx(expected.pvalue)
    assert [each.low for each in intervals] == pytest.approx(expected.confidence_interval().low)


def test_without_spread_of_seeds_it_is_the_t_test_over_users() -> None:
    users = np.random.default_rng(2).normal(0.2, 1, size=(60, 3))
    intervals, p = _judged(np.stack([users, users]))
    expected = stats.ttest_1samp(users, 0)
    assert p == pytest.approx(expected.pvalue)
    assert [each.high for each in intervals] == pytest.approx(expected.confidence_interval().high)


def test_one_seed_more_or_less_widens_the_interval_as_t_does() -> None:
    # s^2 / S = .25 in both; t(1) = 12.706 and t(4) = 2.776, from any table, times .5
    for values, reach in (([0.5, 1.5], 6.353), ([1 - np.sqrt(2.5), 1, 1, 1, 1 + np.sqrt(2.5)], 1.388)):
        ((interval,), _) = differences_over_seeds(np.array(values)[:, None], np.zeros(1), np.array([50]))
        assert interval.high - interval.estimate == pytest.approx(reach, rel=1e-3)


def test_other_levels_agree_with_p() -> None:
    differences = _crossed(3, 0.5, np.random.default_rng(3), metrics=300)
    for level in (0.5, 0.9):
        intervals, p = _judged(differences, level)
        assert [each.includes_zero for each in intervals] == (p >= 1 - level).tolist()


def test_nothing_to_judge_by() -> None:
    differences = np.array([[0.0, 1.0, np.nan, 0.1], [0.0, 1.0, 1.0, 0.3]])
    intervals, p = differences_over_seeds(differences, np.array([0, 0, 0.1, np.nan]), np.array([9, 9, 9, 1]))
    assert p[0] == 1
    assert np.isnan(p[1:]).all()
    assert [each.known for each in intervals] == [True, False, False, False]
    assert intervals[1].estimate == 1


def test_a_user_without_a_value_in_one_seed_is_left_out() -> None:
    differences = np.array([[[1.0], [2.0], [np.nan], [6.0]], [[3.0], [4.0], [5.0], [2.0]]])
    variances, users = user_variances(differences)
    assert users.tolist() == [3]
    assert variances[0] == pytest.approx(np.var([2, 3, 4], ddof=1) / 3)
    assert np.isnan(user_variances(differences[:, :1])[0]).all()


def test_the_bootstraps_variance_is_the_users_own_even_of_a_dozen() -> None:
    differences = np.random.default_rng(4).normal(size=(2, 12, 3))
    variances, users = user_variances(differences)
    draws = np.random.default_rng(5).integers(0, 12, size=(20_000, 12))
    resampled = differences.mean(0)[draws].mean(1)
    assert resampled_variances(resampled, users) == pytest.approx(variances, rel=0.05)
    resampled[::2, 0] = np.nan
    assert resampled_variances(resampled, users) == pytest.approx(variances, rel=0.06)
    assert np.isnan(resampled_variances(resampled, np.ones(3, dtype=int))).all()


@pytest.mark.parametrize("seed_share", [0.0, 0.5, 0.9])
def test_two_groups_with_one_effect_differ_no_oftener_than_the_level_allows(seed_share: float) -> None:
    generator = np.random.default_rng(7)
    one, other = (_crossed(3, seed_share, generator) + 5 for _ in range(2))
    intervals = group_differences(one, other)
    false_alarms = np.mean([not each.includes_zero for each in intervals])
    assert false_alarms < 0.05 + 4 * np.sqrt(0.05 * 0.95 / len(intervals))


def test_two_groups_without_spread_of_seeds_are_compared_as_by_welch_with_the_smaller_groups_freedom() -> None:
    generator = np.random.default_rng(8)
    one, other = generator.normal(3, 1, size=(12, 1)), generator.normal(1, 2, size=(40, 1))
    (interval,) = group_differences(np.stack([one] * 3), np.stack([other] * 3))
    welch = stats.ttest_ind(one[:, 0], other[:, 0], equal_var=False)
    error = (one.mean() - other.mean()) / welch.statistic
    assert interval.estimate == pytest.approx(one.mean() - other.mean())
    assert interval.high - interval.estimate == pytest.approx(stats.t.isf(0.025, 11) * error)
