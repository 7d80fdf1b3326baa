"""The rows of a comparison of two runs: one for each per-user metric, and for each set-level one.

One run each: the interval resamples users, p exchanges the two runs within users; both speak of these two runs. Several
seeds: both come from the spread of seeds and of users (`seeds_and_users`) and speak of the settings.

Shapes: S seeds, U users, M metrics, R resamples, V set-level values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from divrec.analysis.records import read_slates
from divrec.analysis.resampling import set_level_replicates
from divrec.analysis.seeds_and_users import differences_over_seeds, resampled_variances, user_variances
from divrec.analysis.significance import SET_LEVEL, effect_sizes, paired_permutation, set_level_values, swapped_lists
from divrec.analysis.statistics import (
    Floats,
    Interval,
    draw_weights,
    percentile_interval,
    resampled_means,
    shifted_interval,
)
from divrec.analysis.trial import Trial
from divrec.schema import ITEM_ID, RANK, USER_ID

Row = dict[str, object]
Pair = tuple[sparse.csr_array, sparse.csr_array]
_UNKNOWN = Interval(math.nan)


def per_user_rows(first_SUM: Floats, second_SUM: Floats, metrics: Sequence[str], trial: Trial) -> list[Row]:
    """Rows of metrics with a value a user; a user without one in any of the runs says nothing of the difference."""
    differences_SUM = first_SUM - second_SUM
    defined_UM = ~np.isnan(differences_SUM.mean(0))
    users_M = defined_UM.sum(0)
    left_SM, right_SM = (_mean_of_defined(side, defined_UM) for side in (first_SUM, second_SUM))
    judge = _judge_one_run if len(differences_SUM) == 1 else _judge_seeds
    intervals, p_M, effects = judge(differences_SUM, left_SM - right_SM, trial)
    return [
        row(name, (left_SM[:, at].mean(), right_SM[:, at].mean()), intervals[at], p_M[at], effects[at], users_M[at])
        for at, name in enumerate(metrics)
    ]


def _mean_of_defined(values_SUM: Floats, defined_UM: np.ndarray) -> Floats:
    users_M = defined_UM.sum(0)
    sums_SM = np.where(defined_UM, values_SUM, 0.0).sum(1)
    return np.asarray(np.where(users_M > 0, sums_SM / np.maximum(users_M, 1), np.nan))


def _judge_one_run(
    differences_SUM: Floats, means_SM: Floats, trial: Trial
) -> tuple[list[Interval], Floats, list[Interval]]:
    differences_UM, generator = differences_SUM[0], np.random.default_rng(trial.seed)
    weights = draw_weights(len(differences_UM), trial.resamples, generator)
    resampled = resampled_means(differences_UM, weights)
    intervals = [percentile_interval(float(mean), resampled[:, at], trial.level) for at, mean in enumerate(means_SM[0])]
    p_M = paired_permutation(differences_UM, generator, trial.permutations)
    return intervals, p_M, effect_sizes(differences_UM, weights, trial.level)


def _judge_seeds(
    differences_SUM: Floats, means_SM: Floats, trial: Trial
) -> tuple[list[Interval], Floats, list[Interval]]:
    """The effect is the mean over the deviation of users averaged over seeds; its interval that of the mean over it."""
    variances_M, users_M = user_variances(differences_SUM)
    intervals, p_M = differences_over_seeds(means_SM, variances_M, users_M, trial.level)
    deviations_M = np.sqrt(variances_M * np.maximum(users_M - 1, 0))
    return intervals, p_M, [_scaled(each, float(by)) for each, by in zip(intervals, deviations_M, strict=True)]


def _scaled(interval: Interval, deviation: float) -> Interval:
    if not deviation > 1e-6 * abs(interval.estimate):  # as in `effect_sizes`: users who all differ alike have none
        return _UNKNOWN
    return Interval(*(value / deviation for value in (interval.estimate, interval.low, interval.high)))


def set_level_rows(
    sides: tuple[Sequence[Path], Sequence[Path]], users: pd.Index, k: int, items: int, trial: Trial
) -> list[Row]:
    """Rows of coverage, Gini and effective coverage of the lists' first k, among these users.

    Resampled users show how values vary; their interval is moved to center on the value of all users.

    Args:
        sides: folders of the first and of the second setting, in the order of the same seeds.
        users: who counts.
        k: length of the lists.
        items: number of items in the catalogue.
        trial: how it is made.
    """
    generator = np.random.default_rng(trial.seed)
    pairs = [_lists(one, other, users, k, trial.split) for one, other in zip(*sides, strict=True)]
    everybody, weights = np.ones((1, len(users)), dtype=np.uint8), draw_weights(len(users), trial.resamples, generator)
    values_SPV = np.stack([[set_level_replicates(lists, everybody, items)[0] for lists in pair] for pair in pairs])
    differences_SV = values_SPV[:, 0] - values_SPV[:, 1]
    drawn_RV = np.mean(
        [np.subtract(*(set_level_replicates(lists, weights, items) for lists in pair)) for pair in pairs], axis=0
    )
    if len(pairs) > 1:
        counts = np.full(len(SET_LEVEL), len(users))
        variance_V = resampled_variances(drawn_RV, counts)
        intervals, p_V = differences_over_seeds(differences_SV, variance_V, counts, trial.level)
    else:
        own = differences_SV[0]
        intervals = [shifted_interval(float(own[at]), drawn_RV[:, at], trial.level) for at in range(len(own))]
        p_V = swapped_lists(pairs, partial(set_level_values, items=items), generator, trial.permutations)
    means_PV = values_SPV.mean(0)
    return [
        row(f"{name}@{k}", (means_PV[0, at], means_PV[1, at]), intervals[at], p_V[at], _UNKNOWN, len(users))
        for at, name in enumerate(SET_LEVEL)
    ]


def _lists(first: Path, second: Path, users: pd.Index, k: int, split: str) -> Pair:
    """The lists of both, (U, N shown by any) with the same columns."""
    frames = [frame[frame[RANK] <= k] for frame in (read_slates(first, split), read_slates(second, split))]
    both = pd.concat(frames)
    columns, shown = pd.factorize(both[ITEM_ID])
    rows = users.get_indexer(pd.Index(both[USER_ID]))
    found, start = [], 0
    for frame in frames:
        part = slice(start, start + len(frame))
        start += len(frame)
        kept = rows[part] >= 0
        ones = np.ones(int(kept.sum()), dtype=np.int64)
        shape = (len(users), len(shown))
        found.append(sparse.csr_array((ones, (rows[part][kept], columns[part][kept])), shape=shape))
    return found[0], found[1]


def row(name: str, values: tuple[float, float], interval: Interval, p: float, effect: Interval, users: int) -> Row:
    """One row: values of both, their difference with interval and p, effect size, users."""
    return {
        "metric": name,
        "first": float(values[0]),
        "second": float(values[1]),
        "difference": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "p": float(p),
        "effect": effect.estimate,
        "effect_low": effect.low,
        "effect_high": effect.high,
        "users": int(users),
    }
