"""Intervals: nominal coverage on simulated data, agreement with direct computation, behavior at the edges."""

import math

import numpy as np
import pandas as pd
import pytest

from divrec.analysis.statistics import (
    Interval,
    draw_weights,
    exposure_values,
    mean_differences,
    paired_user_intervals,
    resampled_means,
    shifted_interval,
)


def test_weights_are_resamples_of_all_users() -> None:
    weights = draw_weights(50, 200, np.random.default_rng(0))
    assert (weights.sum(1) == 50).all()
    assert 0.60 < (weights > 0).mean() < 0.66  # 1 - 1/e of the users are in a resample


def test_resampled_means_equal_means_of_the_drawn_users_and_skip_holes() -> None:
    random = np.random.default_rng(1)
    values = random.normal(size=(40, 3))
    values[random.random(values.shape) < 0.2] = np.nan
    weights = draw_weights(40, 5, random)
    for row, weight in zip(resampled_means(values, weights), weights, strict=True):
        assert row == pytest.approx(np.nanmean(np.repeat(values, weight, axis=0), axis=0))


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    weights = draw_weights(80, 400, random)
    hits = 0
    for _ in range(300):
        control = random.exponential(size=(80, 1))
        point = control + random.normal(0.1, 0.5, size=(80, 1))
        (interval,) = mean_differences(point, control, weights)
        hits += interval.low <= 0.1 <= interval.high
    assert 0.91 <= hits / 300 <= 0.98


def test_pairing_narrows_the_interval() -> None:
    random = np.random.default_rng(3)
    control = random.normal(size=(200, 1))
    weights = draw_weights(200, 400, random)
    (paired,) = mean_differences(control + 0.1 + 0.01 * random.normal(size=(200, 1)), control, weights)
    (unpaired,) = mean_differences(random.permutation(control) + 0.1, control, weights)
    assert paired.high - paired.low < 0.1 * (unpaired.high - unpaired.low)
    assert not paired.includes_zero


def test_users_are_matched_by_id_not_by_row() -> None:
    control = pd.DataFrame({"user_id": ["a", "b", "c"], "ndcg@10": [0.1, 0.2, 0.9], "auc": [0.5, 0.5, np.nan]})
    point = pd.DataFrame({"user_id": ["d", "c", "a", "b"], "ndcg@10": [9.0, 1.0, 0.2, 0.3], "auc": [1, 1, 0.6, 0.6]})
    found = paired_user_intervals(point, control, np.random.default_rng(0), resamples=100)
    assert found["ndcg@10"].estimate == pytest.approx(0.1)
    assert found["ndcg@10"].low == pytest.approx(0.1)
    assert found["ndcg@10"].high == pytest.approx(0.1)
    assert found["auc"].estimate == pytest.approx((1 + 0.6 + 0.6) / 3 - 0.5)


def test_same_seed_same_interval() -> None:
    control = pd.DataFrame({"user_id": range(30), "x": np.linspace(0, 1, 30)})
    point = control.assign(x=control["x"] ** 2)
    first, again = (paired_user_intervals(point, control, np.random.default_rng(7), 50)["x"] for _ in range(2))
    assert first == again
    assert first.low < first.estimate < first.high


def test_a_metric_without_values_is_unknown() -> None:
    nothing = np.full((4, 1), np.nan)
    (interval,) = mean_differences(nothing, nothing, draw_weights(4, 10, np.random.default_rng(0)))
    assert math.isnan(interval.estimate)
    assert not interval.known
    assert not interval.includes_zero


@pytest.mark.parametrize(
    ("exposure", "items", "coverage", "gini"),
    [
        ([3, 3, 3, 3], 4, 1.0, 0.0),
        ([12], 4, 0.25, 0.75),  # one item gets all: 1 - 1/N
        ([0, 0, 0, 12], 4, 0.25, 0.75),
        ([1, 3], 4, 0.5, (-1 * 0 + 1 * 1 + 3 * 3) / (4 * 4)),
    ],
)
def test_exposure_values_by_hand(exposure: list[int], items: int, coverage: float, gini: float) -> None:
    assert exposure_values(np.array([exposure], dtype=np.int32), items)[0] == pytest.approx([coverage, gini])


def test_exposure_of_nothing_is_undefined() -> None:
    assert math.isnan(exposure_values(np.zeros((1, 3), dtype=np.int32), 3)[0, 1])


def test_shifted_interval_centers_on_the_estimate() -> None:
    interval = shifted_interval(0.5, np.random.default_rng(0).normal(0.2, 0.01, 500))
    assert (interval.low + interval.high) / 2 == pytest.approx(0.5, abs=0.002)


def test_negated_turns_the_ends() -> None:
    assert Interval(0.2, 0.1, 0.4).negated() == Interval(-0.2, -0.4, -0.1)
