"""Sampling without replacement by Gumbel noise (Kool, van Hoof & Welling 2019): the line that chance draws.

Shapes: B users, M candidates.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from divrec.errors import ConfigError
from divrec.rerank.greedy import top
from divrec.rerank.relevance import Relevance
from divrec.rerank.strategy import Pool, PoolStrategy


class Temperature(PoolStrategy):
    """Order by (1 - diversity) * relevance + diversity * Gumbel noise.

    The list is a sample without replacement from softmax(relevance / T) with T = diversity / (1 - diversity). The noise
    is a pure function of the seed and the user's index, the same in any batch. At 1 the list is a random draw of the
    pool.

    Args:
        diversity: 0 = the ranking as it came, 1 = chance alone.
        relevance: "zscore" or "probability", see `PoolStrategy`.
        pool: number of best ranked items that can be chosen.
        seed: any integer from 0.

    Raises:
        ConfigError: an argument is out of its range.
    """

    name = "temperature"
    reads_history = True  # of the audience it reads who the users are

    def __init__(self, diversity: float, relevance: Relevance = "zscore", pool: int = 100, seed: int = 0) -> None:
        if seed < 0:
            raise ConfigError("a seed is at least 0", where=f"rerank.{self.name}.seed", got=seed)
        super().__init__(diversity, relevance, pool)
        self.seed = seed

    def _choose(self, pool: Pool, k: int) -> Tensor:
        base_BM = self._base(pool)
        assert pool.audience is not None
        width = base_BM.shape[1]
        rows = [np.random.default_rng([self.seed, user]).gumbel(size=width) for user in pool.audience.users_B.tolist()]
        noise_BM = torch.from_numpy(np.stack(rows) if rows else np.empty((0, width)))
        return top(base_BM.add_(noise_BM.to(base_BM), alpha=self.diversity), k)
