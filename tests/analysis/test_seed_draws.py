"""Means over a few seeds in replicates: as wide as Student's t, and alike for all that stands on the same seeds."""

import numpy as np
import pytest
from scipy import stats

from divrec.analysis.seed_draws import SeedDraws
from divrec.analysis.statistics import percentile_interval


def drawn(seeds: int, replicates: int = 4000, seed: int = 0) -> SeedDraws:
    return SeedDraws.of(seeds, replicates, np.random.default_rng(seed))


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_the_interval_of_a_mean_is_students(seeds):
    values_S = np.random.default_rng(1).normal(size=seeds)
    moved_R = drawn(seeds).mean(np.tile(values_S[:, None], 4000))
    found = percentile_interval(values_S.mean(), moved_R)
    low, high = stats.t.interval(0.95, seeds - 1, values_S.mean(), values_S.std(ddof=1) / np.sqrt(seeds))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.08 * (high - low))


def test_it_holds_the_mean_as_often_as_it_says():
    generator = np.random.default_rng(2)
    draws, trials, held = drawn(3, 300), 1500, 0
    shares_RS = draws.shares()
    for _ in range(trials):
        found = percentile_interval(0.0, shares_RS @ generator.normal(size=3))
        held += found.includes_zero
    assert held / trials == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize("places", [None, [0, 2, 3], [1]])
def test_weights_sum_to_one_and_center_on_the_mean(places):
    shares_RS = drawn(4, 100).shares(places)
    assert shares_RS.shape == (100, len(places or range(4)))
    assert shares_RS.sum(1) == pytest.approx(1)
    assert shares_RS.mean(0) == pytest.approx(1 / shares_RS.shape[1])


def test_one_seed_is_taken_as_it_is():
    assert (drawn(1, 7).shares() == 1).all()
    assert (drawn(3, 7).shares([2]) == 1).all()


def test_settings_of_the_same_seeds_move_together():
    values_SR = np.random.default_rng(3).normal(size=(3, 1)).repeat(50, axis=1)
    draws = drawn(3, 50)
    difference_R = draws.mean(values_SR + 0.25) - draws.mean(values_SR)
    assert difference_R == pytest.approx(0.25)


@pytest.mark.parametrize("replicates", [1, 9])
def test_an_odd_number_of_replicates(replicates):
    assert drawn(3, replicates).shares().shape == (replicates, 3)
