"""Tests of a difference between two points: permutation of the pair, Holm's correction, effect sizes.

Shapes: U users, M metrics, R resamples, N items.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from divrec.analysis.statistics import LEVEL, Floats, Interval, exposure_values, percentile_interval, resampled_means

PERMUTATIONS = 10_000
_CHUNK = 4_000_000  # signs that are held at a time


def paired_permutation(
    differences_UM: Floats, generator: np.random.Generator, permutations: int = PERMUTATIONS
) -> Floats:
    """Two-sided p of each metric's mean difference: signs of the users' differences are exchanged (Fisher 1935).

    Args:
        differences_UM: difference of each user, NaN where one of the two has no value.
        generator: source of randomness.
        permutations: number of sign vectors drawn; p is (1 + as extreme ones) / (1 + permutations), never 0.

    Returns:
        (M,); NaN where no user has a difference, 1 where all of them are 0.
    """
    holes = np.isnan(differences_UM)
    filled = np.where(holes, 0.0, differences_UM)
    observed = np.abs(filled.sum(0))
    slack = 1e-12 * np.abs(filled).sum(0)  # sums of the same numbers in another order are ties
    extreme = np.zeros(filled.shape[1])
    step = max(1, _CHUNK // max(1, len(filled)))
    for start in range(0, permutations, step):
        rows = min(step, permutations - start)
        signs = 2.0 * generator.integers(0, 2, size=(rows, len(filled)), dtype=np.int8) - 1.0
        extreme += (np.abs(signs @ filled) >= observed - slack).sum(0)
    return np.where(holes.all(0), np.nan, (1 + extreme) / (1 + permutations))


def swapped_lists(
    pairs: Sequence[tuple[sparse.csr_array, sparse.csr_array]],
    measure: Callable[[NDArray[np.int64]], Floats],
    generator: np.random.Generator,
    permutations: int = PERMUTATIONS,
) -> Floats:
    """Two-sided p of differences of set-level values: a user's two lists are exchanged, the same users in all seeds.

    It speaks of these seeds alone; where others were possible, see `divrec.analysis.seeds_and_users`.

    Args:
        pairs: lists of both points, (U, N) ones with the same columns, one pair a seed.
        measure: exposure counts (R, N) -> values (R, V).
        generator: source of randomness.
        permutations: number of exchanges drawn.

    Returns:
        (V,), p of the difference averaged over seeds; NaN where that has no value. An exchange without a value counts
        as an extreme one.
    """
    users = pairs[0][0].shape[0]
    observed = np.abs(_mean_difference(pairs, measure, np.zeros((1, users), dtype=np.int64))[0])
    extreme = np.zeros(len(observed))
    step = max(1, _CHUNK // max(1, users, pairs[0][0].shape[1]))
    for start in range(0, permutations, step):
        swap = generator.integers(0, 2, size=(min(step, permutations - start), users), dtype=np.int64)
        extreme += (~(np.abs(_mean_difference(pairs, measure, swap)) < observed - 1e-12)).sum(0)
    return np.where(np.isnan(observed), np.nan, (1 + extreme) / (1 + permutations))


def _mean_difference(
    pairs: Sequence[tuple[sparse.csr_array, sparse.csr_array]],
    measure: Callable[[NDArray[np.int64]], Floats],
    swap_RU: NDArray[np.int64],
) -> Floats:
    found = []
    for left, right in pairs:
        moved = ((right - left).T @ swap_RU.T).T  # what the first gains and the second loses
        first, second = (np.asarray(lists.sum(0), dtype=np.int64)[None] for lists in (left, right))
        found.append(measure(first + moved) - measure(second - moved))
    return np.asarray(np.mean(found, axis=0))


SET_LEVEL = ("coverage", "gini", "effective_coverage")  # in the order of `set_level_values`


def set_level_values(exposure_RN: NDArray[np.int32] | NDArray[np.int64], items: int) -> Floats:
    """Coverage, Gini and effective coverage of exposure counts, (R, 3): the formulas of `divrec.measures`."""
    total = exposure_RN.sum(1, keepdims=True)
    shares = np.divide(exposure_RN, total, out=np.zeros(exposure_RN.shape), where=total > 0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    effective = np.where(total[:, 0] > 0, np.exp(-(shares * logs).sum(1)) / items, np.nan)
    return np.column_stack([exposure_values(exposure_RN, items), effective])


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p of a family of tests (Holm 1979): the chance of any false alarm in the family stays below it.

    NaN stays NaN and is no member of the family.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    adjusted = [math.nan] * len(p_values)
    running = 0.0
    for rank, (p, place) in enumerate(known):
        running = max(running, min(1.0, (len(known) - rank) * p))
        adjusted[place] = running
    return adjusted


def effect_sizes(differences_UM: Floats, weights_RU: NDArray[np.uint8], level: float = LEVEL) -> list[Interval]:
    """Standardized mean difference of pairs (Cohen's d_z) with its bootstrap interval; one a metric.

    It is the mean difference over the standard deviation of the users' differences: .2 is called small, .5 medium, .8
    large (Cohen 1988). NaN where all differences are equal.
    """
    plain = np.ones((1, len(differences_UM)), dtype=np.uint8)
    estimates, resampled = (_standardized(differences_UM, weights) for weights in (plain, weights_RU))
    return [
        percentile_interval(float(estimate), resampled[:, column], level)
        for column, estimate in enumerate(estimates[0])
    ]


def _standardized(differences_UM: Floats, weights_RU: NDArray[np.uint8]) -> Floats:
    mean, square = resampled_means(differences_UM, weights_RU), resampled_means(differences_UM**2, weights_RU)
    variance = square - mean**2
    spread = np.sqrt(np.where(variance > 1e-12 * square, variance, np.nan))
    return np.asarray(mean / spread)
