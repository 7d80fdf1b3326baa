"""The way along a front: its bend, and the price of each step."""

import math

import numpy as np
import pytest

from divrec.analysis.front import way
from divrec.analysis.front_path import knee, price

CONTROL = (0.1, 0.2)


def test_the_way_goes_from_the_control_to_the_most_diverse_point() -> None:
    points = np.array([[0.09, 0.5], [0.099, 0.3], [0.098, 0.25], [0.11, 0.1], [0.05, 0.9], [np.nan, 1.0]])
    assert way(points, CONTROL).tolist() == [1, 0, 4]  # the third is beaten, the fourth less diverse
    assert way(points, CONTROL, share=0.8).tolist() == [1, 0]
    assert way(np.empty((0, 2)), CONTROL).tolist() == []


def test_the_knee_is_where_steps_start_to_cost_more() -> None:
    stops = np.array([[0.10, 0.2], [0.099, 0.3], [0.098, 0.4], [0.08, 0.5]])
    assert knee(stops) == 2


@pytest.mark.parametrize(
    "stops",
    [
        [[0.1, 0.2], [0.09, 0.3]],  # too short
        [[0.1, 0.2], [0.09, 0.3], [0.08, 0.4]],  # straight
        [[0.1, 0.2], [0.08, 0.3], [0.079, 0.5]],  # bends the other way
        [[0.1, 0.2], [0.11, 0.3], [0.12, 0.4]],  # costs nothing
    ],
)
def test_no_bend_no_knee(stops: list[list[float]]) -> None:
    assert knee(np.array(stops)) is None


def test_price_by_hand() -> None:
    random = np.random.default_rng(0)
    before = np.array([0.1, 0.2]) + 1e-4 * random.normal(size=(400, 2))
    after = np.array([0.098, 0.3]) + 1e-4 * random.normal(size=(400, 2))
    found = price((0.1, 0.2), (0.098, 0.3), before, after)
    assert found.estimate == pytest.approx(0.02)
    assert 0.01 < found.low < 0.02 < found.high < 0.03
    assert price((0.1, 0.2), (0.101, 0.3), before, after + 0.003).estimate == pytest.approx(-0.01)


def test_a_step_within_noise_has_no_bounded_price() -> None:
    random = np.random.default_rng(0)
    before, after = ([[0.1, 0.2]] + 0.01 * random.normal(size=(400, 2)) for _ in range(2))
    found = price((0.1, 0.2), (0.099, 0.201), before, after)
    assert found.estimate == pytest.approx(1)
    assert not found.known


def test_a_step_that_gains_nothing_has_no_price() -> None:
    nothing = np.empty((0, 2))
    assert math.isnan(price((0.1, 0.2), (0.09, 0.2), nothing, nothing).estimate)
    assert not price((0.1, 0.2), (0.09, 0.3), nothing, nothing).known
