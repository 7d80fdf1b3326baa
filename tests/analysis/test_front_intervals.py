"""Fronts in three measures, and how sure their summaries are."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from divrec.analysis.front import as_pairs, band_gain, front_members, hypervolume, non_dominated, operating_point
from divrec.analysis.front_intervals import (
    front_intervals,
    over_seeds,
    resample_users,
    resampled_summaries,
    volume_interval,
)
from divrec.analysis.statistics import draw_weights

CONTROL = (0.1, 0.2, 0.5)
values = st.floats(0.01, 1.0, allow_nan=False)
triples = st.lists(st.tuples(values, values, values), min_size=1, max_size=8).map(np.array)


def _slow_volume(points: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Volume of the union of boxes by cutting space along every coordinate."""
    pairs = zip(reference, points.T, strict=True)
    edges = [np.unique(np.concatenate([[low], column[column > low]])) for low, column in pairs]
    total = 0.0
    for corner in itertools.product(*(range(len(axis) - 1) for axis in edges)):
        top = np.array([axis[place + 1] for axis, place in zip(edges, corner, strict=True)])
        bottom = np.array([axis[place] for axis, place in zip(edges, corner, strict=True)])
        if (points >= top).all(axis=1).any():
            total += float(np.prod(top - bottom))
    return total


@given(triples)
def test_hypervolume_of_three_measures_is_that_of_boxes(points: NDArray[np.float64]) -> None:
    slow = _slow_volume(points / np.asarray(CONTROL), np.array([0.9, 1.0, 1.0]))
    assert hypervolume(points, CONTROL) == pytest.approx(slow, rel=1e-9, abs=1e-12)


@given(triples)
def test_order_and_dominated_points_change_nothing(points: NDArray[np.float64]) -> None:
    order = np.random.default_rng(len(points)).permutation(len(points))
    assert hypervolume(points[order], CONTROL) == pytest.approx(hypervolume(points, CONTROL), rel=1e-9, abs=1e-12)
    assert band_gain(points[order], CONTROL) == band_gain(points, CONTROL)
    beaten = np.vstack([points, points[0] * 0.99])
    assert not non_dominated(beaten)[-1]
    assert band_gain(beaten, CONTROL) == band_gain(points, CONTROL)


def test_gain_in_three_measures_is_the_mean_relative_one() -> None:
    points = np.array([[0.11, 0.24, 0.55]])  # more accurate than the control, 20 % and 10 % more diverse
    assert band_gain(points, CONTROL).mean == pytest.approx(0.15)
    pairs, control = as_pairs(points, CONTROL)
    assert control == (0.1, 1.0)
    assert pairs[0].tolist() == pytest.approx([0.11, 1.15])


def test_two_half_fronts_do_not_add_up() -> None:
    halves = np.array([[0.1, 0.4, 0.5], [0.1, 0.2, 1.0]])
    assert band_gain(halves, CONTROL).mean == pytest.approx(0.5)  # each doubles one of the two measures
    assert front_members(halves, CONTROL).all()
    assert operating_point(np.vstack([halves, [[0.099, 0.35, 0.9]]]), CONTROL) == 2


def test_a_control_without_diversity_has_no_gain() -> None:
    assert math.isnan(band_gain(np.array([[0.1, 0.2, 0.3]]), (0.1, 0.0, 0.2)).mean)
    assert math.isnan(hypervolume(np.array([[0.1, 0.2, 0.3]]), (0.1, 0.0, 0.2)))


def _world(users: int, generator: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two points and a control whose true means are known; users differ, points of one user are alike."""
    own = generator.normal(0, 0.05, size=(users, 1))
    true = np.array([[0.098, 0.30], [0.092, 0.40]])
    points = true[:, None, :] + own + generator.normal(0, 0.02, size=(2, users, 2))
    control = np.array([0.1, 0.2]) + own + generator.normal(0, 0.02, size=(users, 2))
    return points, control


def test_intervals_cover_the_truth() -> None:
    generator = np.random.default_rng(1)
    truth = band_gain(np.array([[0.098, 0.30], [0.092, 0.40]]), (0.1, 0.2)).mean
    hits = 0
    for _ in range(120):
        points, control = _world(150, generator)
        weights = draw_weights(150, 120, generator)
        drawn = resample_users(np.concatenate([points, control[None]]), weights)
        found = front_intervals(points.mean(1), control.mean(0).tolist(), drawn[:, :2], drawn[:, 2])
        hits += found["mean"].low <= truth <= found["mean"].high
    assert 0.86 <= hits / 120 <= 1.0


def test_more_users_narrow_the_interval() -> None:
    generator, widths = np.random.default_rng(2), []
    for users in (100, 1600):
        points, control = _world(users, generator)
        drawn = resample_users(np.concatenate([points, control[None]]), draw_weights(users, 200, generator))
        found = front_intervals(points.mean(1), control.mean(0).tolist(), drawn[:, :2], drawn[:, 2])
        assert found["at_95"].known
        widths.append(found["at_95"].high - found["at_95"].low)
    assert widths[1] < 0.5 * widths[0]


@pytest.mark.parametrize("measures", [2, 3])
def test_many_replicates_are_summed_up_like_one(measures: int) -> None:
    random = np.random.default_rng(5)
    points, control = random.random((30, 6, measures)), random.uniform(0.3, 0.8, (30, measures))
    together = resampled_summaries(points, control)
    for row in range(30):
        pairs, own = as_pairs(points[row], control[row].tolist())
        gain = band_gain(pairs, own, np.arange(6))
        assert together["mean"][row] == pytest.approx(gain.mean)
        assert together["at_99"][row] == pytest.approx(gain.at_99)
        assert together["at_90"][row] == pytest.approx(gain.at_90)
        assert together["hypervolume"][row] == pytest.approx(hypervolume(pairs, own), abs=1e-12)
    (interval,) = {volume_interval(points[0], control[0].tolist(), points, control)}
    assert interval.estimate == pytest.approx(hypervolume(points[0], control[0].tolist()))
    assert interval.low <= interval.high


def test_no_stop_gains_nothing() -> None:
    nothing = resampled_summaries(np.empty((4, 0, 2)), np.full((4, 2), 0.5))
    assert all((values == 0).all() for values in nothing.values())


def test_seeds_move_as_students_t() -> None:
    generator = np.random.default_rng(3)
    steady = generator.normal(size=(1, 50, 2, 3))
    assert over_seeds(steady, generator) == pytest.approx(steady[0])
    far = np.concatenate([np.zeros((1, 2000, 1, 1)), np.ones((1, 2000, 1, 1))])
    drawn = over_seeds(far, generator)[:, 0, 0]
    assert np.quantile(drawn, [0.025, 0.975]) == pytest.approx([0.5 - 6.35, 0.5 + 6.35], rel=0.2)  # t = 12.7
