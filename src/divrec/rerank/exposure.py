"""Even exposure over the catalogue, one user after another: the one strategy with a memory.

Shapes: B users, M candidates, N items.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from divrec.rerank.relevance import Relevance
from divrec.rerank.strategy import Pool, PoolStrategy


class ExposureBalance(PoolStrategy):
    """Order by (1 - diversity) * relevance - diversity * log(1 + lists that have shown the item so far).

    That is relevance - lambda * log(1 + shown) with lambda = diversity / (1 - diversity): .3 is lambda .43, .6 is 1.5.
    Users come one after another and each sees what those before were shown, so results depend on the order of users,
    and a service needs a counter that all its workers share. It is the strongest rival of an exposure regularizer.
    `start` sets the counter to zero, as the evaluation does before each split.

    Args:
        diversity: 0 = the ranking as it came, 1 = the least shown items of the pool.
        relevance: "zscore" or "probability", see `PoolStrategy`.
        pool: number of best ranked items that can be chosen.

    Raises:
        ConfigError: an argument is out of its range.
    """

    name = "exposure"

    def __init__(self, diversity: float, relevance: Relevance = "zscore", pool: int = 100) -> None:
        super().__init__(diversity, relevance, pool)
        self.start()

    def start(self) -> None:
        """Nothing has been shown to anybody."""
        self._shown_N: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def _choose(self, pool: Pool, k: int) -> Tensor:
        size = pool.catalogue.size
        if len(self._shown_N) != size:
            self._shown_N = np.zeros(size, dtype=np.int64)
        base_BM, items_BM = self._base(pool).cpu().numpy(), pool.items_BM.cpu().numpy()
        price_N = np.log1p(self._shown_N) * self.diversity
        chosen_BK = np.empty((len(items_BM), k), dtype=np.int64)
        for user, (base_M, items_M) in enumerate(zip(base_BM, items_BM, strict=True)):
            places = np.argsort(price_N[items_M] - base_M, kind="stable")[:k]
            chosen_BK[user] = places
            shown = items_M[places]
            shown = shown[shown >= 0]
            self._shown_N[shown] += 1
            price_N[shown] = np.log1p(self._shown_N[shown]) * self.diversity
        return torch.from_numpy(chosen_BK).to(pool.items_BM.device)
