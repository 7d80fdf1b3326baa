"""How a comparison of two runs is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from divrec.analysis.significance import PERMUTATIONS
from divrec.analysis.statistics import LEVEL, RESAMPLES
from divrec.errors import ConfigError, check_number
from divrec.schema import SPLITS, TEST


@dataclass(frozen=True)
class Trial:
    """How a comparison is made.

    Attributes:
        split: "test" or "validation".
        metrics: the family that is corrected together; empty = every metric that both have.
        seed: of resamples and permutations.
        resamples: bootstrap resamples of users, for means over users and set-level values alike; at least as many as
            give either tail of the interval one resample (40 for 95 %).
        permutations: exchanges of the two runs within users, for p of one run each; more = smaller p can be told apart,
            for p is at least 1 / (1 + permutations), and Holm's correction multiplies it by the size of the family. At
            least as many as reach 1 - level (19 for 95 %).
        level: of the intervals, in (0, 1).

    Raises:
        ConfigError: a value makes no sense.
    """

    split: str = TEST
    metrics: tuple[str, ...] = ()
    seed: int = 0
    resamples: int = RESAMPLES
    permutations: int = PERMUTATIONS
    level: float = LEVEL

    def __post_init__(self) -> None:
        """Check at the door."""
        if self.split not in SPLITS:
            raise ConfigError("no such split", where="split", got=self.split, mend=f"Use {' or '.join(SPLITS)}.")
        check_number("level", self.level, above=0, below=1)
        check_number("seed", self.seed, least=0, whole=True)
        fewest = round(1 / (1 - self.level), 6)
        check_number("resamples", self.resamples, least=math.ceil(2 * fewest), whole=True)
        check_number("permutations", self.permutations, least=math.ceil(fewest) - 1, whole=True)
