"""Whether the experiment did what it was to do, before anybody looks at its outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from divrec.errors import ConfigError, DataError

SUSPICIOUS = 0.001  # below it the arms' sizes are no accident (Fabijan et al. 2019)


@dataclass(frozen=True)
class SampleRatio:
    """Sizes of the arms against what was planned.

    Attributes:
        observed: users by arm.
        expected: users by arm, as planned.
        p: of the chi-squared test.
    """

    observed: dict[str, int]
    expected: dict[str, float]
    p: float

    @property
    def mismatch(self) -> bool:
        """Whether users were lost or added unevenly: then no difference between the arms means anything."""
        return self.p < SUSPICIOUS


def sample_ratio(observed: Mapping[str, int], shares: Mapping[str, float]) -> SampleRatio:
    """Check the sample ratio (Kohavi, Tang & Xu 2020, chapter 21).

    Args:
        observed: users by arm.
        shares: planned shares by arm, positive; they need not sum to 1.

    Raises:
        ConfigError: a share that is not a positive number.
        DataError: other arms than planned, fewer than two, a count that is not a whole number from 0 up, or nobody.
    """
    if odd := {arm: share for arm, share in shares.items() if not (share > 0 and math.isfinite(share))}:
        raise ConfigError(
            "a planned share is positive", where="shares", got=odd, mend="Leave out an arm that nobody was to be in."
        )
    if set(observed) != set(shares) or len(shares) < 2:
        raise DataError("not the planned arms", where="arms", got=sorted(observed), mend=f"Planned: {sorted(shares)}")
    if odd := {arm: count for arm, count in observed.items() if not (count >= 0 and count % 1 == 0)}:
        raise DataError("users by arm are counts", where="arms", got=odd, mend="Count users, not shares or events.")
    total, whole = sum(observed.values()), sum(shares.values())
    if total == 0:
        raise DataError("nobody is in the experiment", where="arms", got=dict(observed))
    expected = {arm: total * share / whole for arm, share in shares.items()}
    counts = np.asarray([observed[arm] for arm in shares], dtype=np.float64)
    p = float(stats.chisquare(counts, np.asarray(list(expected.values()))).pvalue)
    return SampleRatio(dict(observed), expected, p)
