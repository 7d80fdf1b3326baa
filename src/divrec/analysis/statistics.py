"""Paired intervals of a difference between two points: bootstrap over users.

Shapes: U users, M metrics, R resamples, N items. Both points are always measured on the same resampled users.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from divrec.schema import ITEM_ID, USER_ID

Floats = NDArray[np.float64]
RESAMPLES = 1000
SET_RESAMPLES = 200
LEVEL = 0.95
_CHUNK = 2_000_000  # weights that are held as float64 at a time


@dataclass(frozen=True)
class Interval:
    """A difference (point minus control) with its confidence interval; NaN = unknown.

    Attributes:
        estimate: the difference itself.
        low: lower end.
        high: upper end.
    """

    estimate: float
    low: float = math.nan
    high: float = math.nan

    @property
    def known(self) -> bool:
        """Whether both ends are numbers."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def includes_zero(self) -> bool:
        """Whether the difference cannot be told from chance; False where the interval is unknown."""
        return self.low <= 0 <= self.high

    def rounds_to_zero(self, digits: int) -> bool:
        """Whether the difference, written with so many decimals, is zero: float noise and the like."""
        return round(self.estimate, digits) == 0

    def negated(self) -> Interval:
        """The interval of the difference of the negated measure."""
        return Interval(-self.estimate, -self.high, -self.low)


def draw_weights(
    users: int, resamples: int, generator: np.random.Generator, size: int | None = None
) -> NDArray[np.uint8]:
    """How often each user is drawn in each bootstrap resample: (R, U), rows sum to the size, by default U (Efron 1979).

    A count beyond 255 has no chance worth the name, so a byte holds it and 1,000 resamples of 100,000 users fit.
    """
    weights = np.empty((resamples, users), dtype=np.uint8)
    for row in range(resamples):
        weights[row] = np.bincount(generator.integers(0, users, size or users, dtype=np.int64), minlength=users)
    return weights


def resampled_means(values_UM: Floats, weights_RU: NDArray[np.uint8]) -> Floats:
    """Mean over users of each metric in each resample, (R, M); NaN values are left out of the mean."""
    holes = np.isnan(values_UM)
    filled = np.where(holes, 0.0, values_UM)
    gappy = holes.any(axis=0)
    present = (~holes[:, gappy]).astype(np.float64)
    means = np.empty((weights_RU.shape[0], values_UM.shape[1]))
    step = max(1, _CHUNK // max(1, weights_RU.shape[1]))
    for start in range(0, weights_RU.shape[0], step):
        weights = weights_RU[start : start + step].astype(np.float64)
        counts = np.repeat(weights.sum(axis=1, keepdims=True), values_UM.shape[1], axis=1)
        counts[:, gappy] = weights @ present
        means[start : start + step] = np.divide(
            weights @ filled, counts, out=np.full_like(counts, np.nan), where=counts > 0
        )
    return means


def percentile_interval(estimate: float, differences_R: Floats, level: float = LEVEL) -> Interval:
    """Percentile interval of resampled differences; resamples without a value are left out."""
    valid = differences_R[np.isfinite(differences_R)]
    if valid.size == 0 or not math.isfinite(estimate):
        return Interval(estimate)
    low, high = np.quantile(valid, [(1 - level) / 2, (1 + level) / 2])
    return Interval(estimate, float(low), float(high))


def paired_user_intervals(
    point: pd.DataFrame,
    control: pd.DataFrame,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> dict[str, Interval]:
    """Paired bootstrap over users of the difference of mean per-user metrics, point minus control.

    Args:
        point: columns user_id and one a metric, one row a user.
        control: the same of the control; only users that are in both count.
        generator: source of randomness.
        resamples: number of resamples R.
        level: share of the distribution that the percentile interval holds.

    Returns:
        Interval by metric, for every metric that both have.
    """
    left, right = point.set_index(USER_ID), control.set_index(USER_ID)
    metrics = [name for name in right.columns if name in left.columns and pd.api.types.is_numeric_dtype(right[name])]
    users = right.index.intersection(left.index)
    weights = draw_weights(len(users), resamples, generator)
    values = left.loc[users, metrics].to_numpy(np.float64), right.loc[users, metrics].to_numpy(np.float64)
    return dict(zip(metrics, mean_differences(*values, weights, level), strict=True))


def mean_differences(
    point_UM: Floats, control_UM: Floats, weights_RU: NDArray[np.uint8], level: float = LEVEL
) -> list[Interval]:
    """`paired_user_intervals` on arrays whose rows are the same users; one interval a column."""
    plain = np.ones((1, point_UM.shape[0]), dtype=np.uint8)
    estimates = resampled_means(point_UM, plain)[0] - resampled_means(control_UM, plain)[0]
    differences = resampled_means(point_UM, weights_RU) - resampled_means(control_UM, weights_RU)
    return [
        percentile_interval(float(estimate), differences[:, column], level) for column, estimate in enumerate(estimates)
    ]


def list_matrix(slates: pd.DataFrame, users: pd.Index) -> sparse.csr_array:
    """Delivered lists as a sparse (U, N shown) matrix of ones; rows follow `users`, other users are left out."""
    rows = users.get_indexer(pd.Index(slates[USER_ID]))
    columns, shown = pd.factorize(slates[ITEM_ID])
    kept = rows >= 0
    ones = np.ones(int(kept.sum()), dtype=np.int32)
    return sparse.csr_array((ones, (rows[kept], columns[kept])), shape=(len(users), len(shown)))


def exposure_values(exposure_RN: NDArray[np.int32] | NDArray[np.int64], items: int) -> Floats:
    """Coverage and Gini index of exposure counts, (R, 2): the formulas of DESIGN section 8 on integers.

    Args:
        exposure_RN: how often each shown item is delivered; items that nobody sees may be left out.
        items: number of items in the catalogue.
    """
    ascending = np.sort(exposure_RN, axis=1).astype(np.float64)
    ranks = np.arange(items - ascending.shape[1] + 1, items + 1)
    total = ascending.sum(1)
    gini = np.divide(
        ascending @ (2.0 * ranks - items - 1), items * total, out=np.full_like(total, np.nan), where=total > 0
    )
    return np.stack([(ascending > 0).sum(1) / items, gini], axis=1)


def shifted_interval(estimate: float, differences_R: Floats, level: float = LEVEL) -> Interval:
    """Percentile interval moved so that its resamples center on the estimate.

    A resample holds about 63 % of the users, and fewer users cover fewer items: without the shift the interval of a
    set-level difference would be that of a smaller audience.
    """
    return percentile_interval(estimate, differences_R - np.nanmean(differences_R) + estimate, level)
