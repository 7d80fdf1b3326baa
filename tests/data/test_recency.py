"""Which moments are asked about when a log drifts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from divrec.data.recency import MomentDraws, age_weights
from divrec.errors import ConfigError

DAY = 86_400


def test_a_half_life_halves_what_is_that_much_older_than_the_latest():
    times = np.array([0, 10, 20]) * DAY + 1_300_000_000

    np.testing.assert_allclose(age_weights(times, 10), [0.25, 0.5, 1])


def test_age_does_not_matter_without_a_half_life():
    np.testing.assert_array_equal(age_weights(np.array([0, DAY]), None), [1, 1])


def test_nothing_vanishes_however_old():
    weights = age_weights(np.array([0, 20_000 * DAY]), 0.5)

    assert 0 < weights[0] < 1e-11


@pytest.mark.parametrize("half_life", [0, -3, float("nan"), "soon"])
def test_a_half_life_is_a_positive_number(half_life):
    with pytest.raises(ConfigError, match="training_half_life_days"):
        age_weights(np.array([0, DAY]), half_life)


def test_moments_are_drawn_in_proportion_to_their_weights():
    draws = MomentDraws(np.array([5.0, 1.0, 3.0, 0.0001]))
    low = np.full(20_000, 1)

    drawn = draws.between(np.random.default_rng(0), low, low + 2)

    assert set(drawn) == {1, 2}
    assert (drawn == 2).mean() == pytest.approx(0.75, abs=0.02)


def test_rows_come_in_proportion_to_what_their_moments_weigh():
    offsets = np.array([0, 2, 2, 4, 8])  # the second row cannot be asked about
    rows = np.array([0, 2, 3])
    draws = MomentDraws(np.array([2.0, 2, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]))
    generator = np.random.default_rng(0)

    counts = np.bincount(
        np.concatenate([draws.order(generator, rows, offsets[rows], offsets[rows + 1]) for _ in range(4_000)]),
        minlength=4,
    )

    np.testing.assert_allclose(counts / counts.sum(), [4 / 6, 0, 1 / 6, 1 / 6], atol=0.02)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=30), st.integers(0, 10))
def test_a_draw_stays_within_its_bounds(weights, seed):
    count = len(weights)
    low = np.arange(count)
    draws = MomentDraws(np.array(weights))

    drawn = draws.between(np.random.default_rng(seed), low, np.full(count, count))

    assert ((drawn >= low) & (drawn < count)).all()


def test_some_are_different_ones():
    draws = MomentDraws(np.array([1e3, 1.0, 1.0, 1.0]))

    assert list(draws.some(np.random.default_rng(0), np.arange(4), 4)) == [0, 1, 2, 3]
    assert 0 in draws.some(np.random.default_rng(0), np.arange(4), 2)
