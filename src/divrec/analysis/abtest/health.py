"""Whether the experiment did what it was to do, before anybody looks at its outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from divrec.errors import DataError

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
        shares: planned shares by arm; they need not sum to 1.

    Raises:
        DataError: other arms than planned, fewer than two, or nobody in any.
    """
    if set(observed) != set(shares) or len(shares) < 2:
        raise DataError("not the planned arms", where="arms", got=sorted(observed), mend=f"Planned: {sorted(shares)}")
    total, whole = sum(observed.values()), sum(shares.values())
    if total == 0:
        raise DataError("nobody is in the experiment", where="arms", got=dict(observed))
    expected = {arm: total * share / whole for arm, share in shares.items()}
    counts = np.asarray([observed[arm] for arm in shares], dtype=np.float64)
    p = float(stats.chisquare(counts, np.asarray(list(expected.values()))).pvalue)
    return SampleRatio(dict(observed), expected, p)
