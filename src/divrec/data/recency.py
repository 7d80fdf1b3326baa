"""Which moments are asked about: all alike, or recent ones more often.

A log drifts: what a shop sold in spring says little of what it will sell at Christmas, and a model is asked about the
time after the log's end.

R rows (users of a split), M moments that can be asked about.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from divrec.data.histories import Numbers
from divrec.errors import check_number

_DAY = 86_400


def age_weights(times: Numbers, half_life_days: float | None) -> NDArray[np.float64]:
    """2^(-age / half life), where age counts from the latest of these times; 1 everywhere without a half life.

    Args:
        times: seconds since the epoch.
        half_life_days: small = only the recent past counts; None = age does not matter.

    Raises:
        ConfigError: the half life is not positive.
    """
    if half_life_days is None or len(times) == 0:
        return np.ones(len(times))
    check_number("data.training_half_life_days", half_life_days, above=0)
    # Nothing vanishes: beyond forty half lives all is equally old.
    return np.maximum(np.exp2((times - times.max()) / (_DAY * half_life_days)), 1e-12)


class MomentDraws:
    """Draws moments in proportion to their weights; where all weigh the same, each user is drawn as often as any other.

    Args:
        weights_M: above 0; None = all moments of a user alike, and all users alike.
    """

    def __init__(self, weights_M: NDArray[np.float64] | None = None) -> None:
        self._weights_M = weights_M
        self._mass = None if weights_M is None else np.append(0.0, np.cumsum(weights_M))

    def between(self, generator: np.random.Generator, low: Numbers, high: Numbers) -> Numbers:
        """A moment in [low, high) for each pair."""
        spots = generator.random(len(low))
        if self._mass is None:
            return low + (spots * (high - low)).astype(np.int64)
        reached = self._mass[low] + spots * (self._mass[high] - self._mass[low])
        return np.clip(np.searchsorted(self._mass, reached, side="right") - 1, low, high - 1)

    def some(self, generator: np.random.Generator, moments: Numbers, count: int) -> Numbers:
        """Places of `count` different ones of these moments, ascending."""
        shares = None
        if self._weights_M is not None:
            shares = self._weights_M[moments] / self._weights_M[moments].sum()
        return np.sort(generator.choice(len(moments), count, replace=False, p=shares))

    def order(self, generator: np.random.Generator, rows: Numbers, low: Numbers, high: Numbers) -> Numbers:
        """One pass over the rows, as long as there are rows, in random order.

        With weights a row comes in proportion to what its moments in [low, high) weigh, rounded up or down (systematic
        sampling).
        """
        if self._mass is None:
            return generator.permutation(rows)
        heights = np.cumsum(self._mass[high] - self._mass[low])
        spots = (np.arange(len(rows)) + generator.random()) / len(rows) * heights[-1]
        return generator.permutation(rows[np.minimum(np.searchsorted(heights, spots, side="right"), len(rows) - 1)])
