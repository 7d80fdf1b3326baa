"""The arithmetic of fronts: golden values by hand, and properties that any front has."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from divrec.analysis.front import band_gain, gains_along, hypervolume, non_dominated, operating_point, way

CONTROL = (0.1, 0.2)
values = st.floats(0.01, 1.0, allow_nan=False)
pairs = st.lists(st.tuples(values, values), min_size=1, max_size=12).map(np.array)


def test_non_dominated_by_hand() -> None:
    points = np.array([[1.0, 1.0], [2.0, 0.5], [0.5, 0.5], [2.0, 0.5], [np.nan, 9.0], [0.2, 2.0]])
    assert non_dominated(points).tolist() == [True, True, False, True, False, True]


def test_non_dominated_of_three_measures_and_of_nothing() -> None:
    assert non_dominated(np.array([[1.0, 1, 1], [1, 1, 2], [2, 0, 0]])).tolist() == [False, True, True]
    assert non_dominated(np.empty((0, 2))).tolist() == []


def test_hypervolume_by_hand() -> None:
    # Divided by the control: (1, 1.5) and (.95, 2), reference (.9, 1): .1 x .5 + .05 x .5.
    points = np.array([[0.1, 0.3], [0.095, 0.4], [0.05, 9.0]])
    assert hypervolume(points, CONTROL) == pytest.approx(0.05 + 0.025)


@pytest.mark.parametrize("control", [(0.0, 0.2), (0.1, 0.0), (math.nan, 0.2)])
def test_hypervolume_needs_a_positive_control(control: tuple[float, float]) -> None:
    assert math.isnan(hypervolume(np.array([[0.1, 0.3]]), control))


def test_band_gain_by_hand() -> None:
    # One point at 95 % of the accuracy with .1 more: the gain rises linearly from 100 to 95 %, then is held.
    gain = band_gain(np.array([[0.095, 0.3]]), CONTROL)
    assert gain.at_98 == pytest.approx(0.04)
    assert gain.at_95 == pytest.approx(0.1)
    assert gain.mean == pytest.approx((sum(range(10)) * 0.01 + 11 * 0.1) / 21)
    assert gain.reaches == pytest.approx(0.95)


def test_gain_of_a_point_that_beats_the_control_counts_in_full() -> None:
    assert band_gain(np.array([[0.11, 0.25]]), CONTROL).mean == pytest.approx(0.05)


def test_a_front_chosen_elsewhere_may_lose() -> None:
    gain = band_gain(np.array([[0.09, 0.1]]), CONTROL, stops_L=np.array([0]))
    assert gain.at_95 == pytest.approx(-0.05)
    assert band_gain(np.array([[0.09, 0.1]]), CONTROL).at_95 == 0


def test_equally_accurate_points_count_as_the_most_diverse_of_them() -> None:
    points = np.array([[0.1, 0.25], [0.1, 0.5], [0.1, 0.3]])
    assert way(points, CONTROL).tolist() == [1]
    assert band_gain(points, CONTROL).mean == pytest.approx(0.3)


def test_the_way_is_walked_in_its_order_until_accuracy_falls_below() -> None:
    # The second stop is more accurate than the first, then the way crosses 95 % between .098 and .09.
    stops = np.array([[[0.096, 0.25], [0.098, 0.3], [0.09, 0.5]]])
    gains = gains_along(stops, np.array([CONTROL]), np.array([0.98, 0.97, 0.95, 0.8]))[0]
    assert gains == pytest.approx([0.025, 0.0375, 0.1 + 0.2 * 3 / 8, 0.3])


def test_many_replicates_are_walked_like_one() -> None:
    random = np.random.default_rng(0)
    stops, control = random.random((40, 5, 2)), random.random((40, 2))
    shares = np.linspace(0.9, 1, 21)
    together = gains_along(stops, control, shares)
    for row in range(40):
        assert gains_along(stops[row : row + 1], control[row : row + 1], shares)[0] == pytest.approx(together[row])


def test_a_missing_value_makes_the_gain_unknown() -> None:
    stops = np.array([[[0.09, 0.3]], [[np.nan, 0.3]]])
    gains = gains_along(stops, np.array([CONTROL, CONTROL]), np.array([0.95]))
    assert np.isfinite(gains[0]).all()
    assert np.isnan(gains[1]).all()


def test_gain_without_accuracy_is_unknown() -> None:
    assert math.isnan(band_gain(np.array([[0.1, 0.3]]), (0.0, 0.2)).mean)


@given(st.tuples(values, values))
def test_the_control_alone_gains_nothing(control: tuple[float, float]) -> None:
    for points in (np.array([control]), np.empty((0, 2))):
        gain = band_gain(points, control)
        assert (gain.mean, gain.at_98, gain.at_95) == (0, 0, 0)
        assert hypervolume(points, control) == 0


@given(pairs, st.tuples(values, values))
def test_order_changes_nothing(points: NDArray[np.float64], control: tuple[float, float]) -> None:
    order = np.random.default_rng(len(points)).permutation(len(points))
    assert non_dominated(points)[order].tolist() == non_dominated(points[order]).tolist()
    assert hypervolume(points[order], control) == pytest.approx(hypervolume(points, control), rel=1e-9, abs=1e-12)
    assert band_gain(points[order], control) == band_gain(points, control)


@given(pairs, st.tuples(values, values), st.floats(0.1, 1.0), st.floats(0.1, 1.0))
def test_dominated_points_change_nothing(
    points: NDArray[np.float64], control: tuple[float, float], less: float, fewer: float
) -> None:
    beaten = np.vstack([points, points[0] * np.array([less * 0.999, fewer * 0.999])])
    assert not non_dominated(beaten)[-1]
    assert hypervolume(beaten, control) == pytest.approx(hypervolume(points, control), rel=1e-9, abs=1e-12)
    assert band_gain(beaten, control) == band_gain(points, control)


@given(pairs, st.tuples(values, values))
def test_a_front_of_its_own_choice_never_loses(points: NDArray[np.float64], control: tuple[float, float]) -> None:
    stops = points[way(points, control)]
    gains = gains_along(stops[None], np.array([control]), np.linspace(0.9, 1, 21))[0]
    assert (gains >= -1e-12).all()
    assert (np.diff(gains) <= 1e-12).all()  # less accuracy never buys less diversity


def test_operating_point_is_the_most_diverse_that_keeps_enough() -> None:
    points = np.array([[0.094, 0.9], [0.0951, 0.4], [0.099, 0.4], [0.1, 0.3], [np.nan, 0.8]])
    assert operating_point(points, CONTROL) == 2  # of two equally diverse the more accurate
    assert operating_point(points, CONTROL, share=0.9) == 0


def test_operating_point_is_the_control_where_nothing_is_better() -> None:
    assert operating_point(np.array([[0.1, 0.2], [0.2, 0.1]]), CONTROL) is None
    assert operating_point(np.empty((0, 2)), CONTROL) is None
