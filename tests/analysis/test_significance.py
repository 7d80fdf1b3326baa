"""Permutation tests against all permutations, Holm by hand, effect sizes, and false alarms at their nominal rate."""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import sparse, stats

from divrec import measures
from divrec.analysis.significance import (
    _mean_difference,
    effect_sizes,
    holm,
    paired_permutation,
    set_level_values,
    swapped_lists,
)
from divrec.analysis.statistics import draw_weights


def test_permutation_p_is_that_of_all_sign_vectors() -> None:
    differences = np.random.default_rng(0).normal(0.4, 1, size=(9, 2))
    exact = [
        np.mean(
            [abs(np.dot(signs, column)) >= abs(column.sum()) - 1e-12 for signs in itertools.product((-1, 1), repeat=9)]
        )
        for column in differences.T
    ]
    found = paired_permutation(differences, np.random.default_rng(1), 40_000)
    assert found.tolist() == pytest.approx(exact, abs=0.015)


def test_permutation_agrees_with_the_t_test_on_many_users() -> None:
    differences = np.random.default_rng(2).normal(0.05, 1, size=(2000, 1))
    found = paired_permutation(differences, np.random.default_rng(3), 20_000)
    assert found[0] == pytest.approx(stats.ttest_1samp(differences[:, 0], 0).pvalue, abs=0.01)


def test_permutation_of_nothing_and_of_no_difference() -> None:
    differences = np.array([[np.nan, 0.0, 1.0], [np.nan, 0.0, np.nan]])
    found = paired_permutation(differences, np.random.default_rng(0), 99)
    assert math.isnan(found[0])
    assert found[1] == 1
    assert found[2] == 1  # one user decides nothing


def test_false_alarms_are_as_rare_as_promised() -> None:
    generator = np.random.default_rng(4)
    differences = generator.exponential(size=(60, 400)) * generator.choice([-1, 1], size=(60, 400))
    p = paired_permutation(differences, generator, 999)
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=5 * math.sqrt(0.05 * 0.95 / 400))


def test_holm_by_hand() -> None:
    # Holm 1979: 4 x .01, 3 x .02, then 2 x .025 may not fall below the last, 1 x .3
    assert holm([0.02, 0.01, math.nan, 0.3, 0.025])[:2] == pytest.approx([0.06, 0.04])
    assert holm([0.02, 0.01, 0.3, 0.025]) == pytest.approx([0.06, 0.04, 0.3, 0.06])
    assert math.isnan(holm([math.nan, 0.5])[0])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_effect_size_is_mean_over_deviation() -> None:
    generator = np.random.default_rng(5)
    differences = generator.normal(0.3, 1, size=(500, 1))
    (effect,) = effect_sizes(differences, draw_weights(500, 400, generator))
    assert effect.estimate == pytest.approx(differences.mean() / differences.std())
    assert effect.low < 0.3 < effect.high
    (constant,) = effect_sizes(np.ones((5, 1)), draw_weights(5, 10, generator))
    assert math.isnan(constant.estimate)


def _lists(rows: np.ndarray, items: int) -> sparse.csr_array:
    matrix = np.zeros((len(rows), items), dtype=np.int64)
    np.put_along_axis(matrix, rows, 1, axis=1)
    return sparse.csr_array(matrix)


def test_swapping_lists_finds_a_difference_and_no_other() -> None:
    generator, items = np.random.default_rng(6), 40
    wide = np.stack([generator.permutation(items)[:5] for _ in range(80)])
    other = np.stack([generator.permutation(items)[:5] for _ in range(80)])
    narrow = np.stack([generator.permutation(12)[:5] for _ in range(80)])
    measure = partial(set_level_values, items=items)
    alike = swapped_lists([(_lists(wide, items), _lists(other, items))], measure, generator, 400)
    unlike = swapped_lists([(_lists(wide, items), _lists(narrow, items))] * 2, measure, generator, 400)
    assert (alike > 0.01).all()
    assert (unlike[1:] < 0.01).all()


def test_a_difference_without_a_value_has_no_p() -> None:
    lists = _lists(np.array([[0, 1], [2, 3]]), 4)
    nothing = sparse.csr_array(lists.shape, dtype=np.int64)
    p = swapped_lists([(lists, nothing)], partial(set_level_values, items=4), np.random.default_rng(0), 99)
    assert np.isnan(p[1:]).all()  # exposure of nobody has no Gini
    assert p[0] == pytest.approx(0.5, abs=0.15)  # two of the four exchanges leave all lists on one side


def test_swap_equals_swapping_by_hand() -> None:
    left, right = _lists(np.array([[0, 1], [1, 2]]), 4), _lists(np.array([[2, 3], [0, 3]]), 4)
    measure = partial(set_level_values, items=4)
    found = _mean_difference([(left, right)], measure, np.array([[0, 0], [1, 0], [1, 1]]))
    swapped = _lists(np.array([[2, 3], [1, 2]]), 4), _lists(np.array([[0, 1], [0, 3]]), 4)
    by_hand = [measure(np.asarray(each.sum(0))[None])[0] for each in swapped]
    assert found[1] == pytest.approx(by_hand[0] - by_hand[1])
    assert found[2] == pytest.approx(-found[0])


def test_set_level_values_are_those_of_the_metrics() -> None:
    exposure = np.array([[5, 0, 2, 1], [0, 0, 0, 3]])
    for row, values in zip(exposure, set_level_values(exposure, 4), strict=True):
        tensor = torch.from_numpy(row)
        expected = [
            float(measures.coverage(tensor)),
            float(measures.gini_index(tensor.double())),
            float(measures.effective_coverage(tensor)),
        ]
        assert values == pytest.approx(expected)
    assert np.isnan(set_level_values(np.zeros((1, 4), dtype=np.int64), 4)[0, 1:]).all()
