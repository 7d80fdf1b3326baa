"""Sliding spectrum decomposition (Huang et al. 2021, the stabilized form of its equation 12), for all users at once.

Shapes: B users, M candidates.
"""

from __future__ import annotations

from torch import Tensor

from divrec.errors import ConfigError
from divrec.rerank.greedy import choose, pool_vectors
from divrec.rerank.relevance import Relevance
from divrec.rerank.residual import Residual
from divrec.rerank.strategy import Pool, PoolStrategy


class SlidingSpectrum(PoolStrategy):
    """Choose by (1 - diversity) * relevance + diversity * length beyond the span of the last chosen items.

    The length is that of the item's factor E_i (S = E E', length 1) after the directions of the last `window` chosen
    items are projected out: what a user who remembers only those has not seen. The first item is always the best
    ranked one.

    Args:
        diversity: 0 = the ranking as it came, 1 = length only.
        relevance: "zscore" or "probability", see `PoolStrategy`.
        pool: number of best ranked items that can be chosen.
        window: chosen items that are remembered; None = all of them.

    Raises:
        ConfigError: an argument is out of its range.
    """

    name = "ssd"

    def __init__(
        self, diversity: float, relevance: Relevance = "zscore", pool: int = 100, window: int | None = None
    ) -> None:
        if window is not None and window < 1:
            raise ConfigError("a window holds at least one item", where=f"rerank.{self.name}.window", got=window)
        super().__init__(diversity, relevance, pool)
        self.window = window

    def _choose(self, pool: Pool, k: int) -> Tensor:
        base_BM = self._base(pool)
        vectors_BMD = pool_vectors(pool.catalogue.vectors_ND, pool.looked_up())
        return choose(base_BM, _Length(vectors_BMD, base_BM, self.window or k), self.diversity, k)


class _Length(Residual):
    def value(self) -> Tensor:
        return self.value_BM.sqrt()
