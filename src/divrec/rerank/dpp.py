"""Determinantal point process, greedy maximum a posteriori (Chen, Zhang & Zhou 2018), for all users at once.

Shapes: B users, M candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from divrec.rerank.greedy import choose, pool_vectors
from divrec.rerank.residual import Residual
from divrec.rerank.strategy import Pool, PoolStrategy


class DeterminantalPointProcess(PoolStrategy):
    """Choose one item at a time so that (1 - diversity) * sum of relevance + diversity * log det S grows most.

    S is the similarity of `divrec.similarity` inside the list. This is the paper's kernel diag(w) S diag(w) with
    w = exp(a * relevance) and a = (1 - diversity) / (2 * diversity), in logarithms: nothing overflows, and both ends of
    the knob are reached. The first item is always the best ranked one.
    """

    name = "dpp"

    def _choose(self, pool: Pool, k: int) -> Tensor:
        base_BM = self._base(pool)
        volume = _LogVolume(pool_vectors(pool.catalogue.vectors_ND, pool.looked_up()), base_BM, k)
        return choose(base_BM, volume, self.diversity, k)


class _LogVolume(Residual):
    """Logarithm of what the determinant is multiplied by; candidates in the span of the list share a floor."""

    def value(self) -> Tensor:
        return self.value_BM.clamp(min=torch.finfo(self.value_BM.dtype).eps).log_()
