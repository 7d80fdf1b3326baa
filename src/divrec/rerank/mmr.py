"""Maximal marginal relevance (Carbonell & Goldstein 1998), greedy, for all users of a batch at once.

Shapes: B users, M candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from divrec.rerank.greedy import choose, pool_vectors, products, row_of
from divrec.rerank.strategy import Pool, PoolStrategy


class MaximalMarginalRelevance(PoolStrategy):
    """Choose one item at a time by (1 - diversity) * relevance - diversity * greatest similarity to those chosen.

    The similarity is the S in [0, 1] of `divrec.similarity`. The first item is always the best ranked one.
    """

    name = "mmr"

    def _choose(self, pool: Pool, k: int) -> Tensor:
        base_BM = self._base(pool)
        nearness = _Nearness(pool_vectors(pool.catalogue.vectors_ND, pool.looked_up()), base_BM)
        return choose(base_BM, nearness, -self.diversity, k)


class _Nearness:
    """Greatest similarity to what is chosen; 0 before the first choice."""

    def __init__(self, vectors_BMD: Tensor, like_BM: Tensor) -> None:
        self._vectors_BMD = vectors_BMD
        self._value_BM = torch.zeros_like(like_BM)

    def value(self) -> Tensor:
        return self._value_BM

    def add(self, chosen_B: Tensor) -> None:
        near_BM = products(self._vectors_BMD, row_of(self._vectors_BMD, chosen_B)).add_(1).div_(2)
        torch.maximum(self._value_BM, near_BM.to(self._value_BM.dtype), out=self._value_BM)
