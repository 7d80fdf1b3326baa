"""Maximal sum of distances (Borodin et al. 2012), greedy, for all users of a batch at once.

Shapes: B users, M candidates, C categories.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from divrec.errors import ConfigError
from divrec.rerank.categories import PoolCategories
from divrec.rerank.greedy import Bonus, choose, pool_vectors, products, row_of
from divrec.rerank.relevance import Relevance
from divrec.rerank.strategy import Pool, PoolStrategy

Kernel = Literal["text", "category"]


class MaximalSumOfDistances(PoolStrategy):
    """Choose one item at a time by (1 - diversity) * relevance + diversity * sum of distances to those chosen.

    The distance is 1 - cos in [0, 2]. The first item is always the best ranked one. It moves the average distance, not
    the smallest: a few far items and near-duplicates beside them are fine with it.

    Args:
        diversity: 0 = the ranking as it came, 1 = distance only.
        relevance: "zscore" or "probability", see `PoolStrategy`.
        pool: number of best ranked items that can be chosen.
        kernel: cosine of what: "text" = the frozen text vectors, "category" = the rows of the item-category matrix.

    Raises:
        ConfigError: an argument is out of its range.
    """

    name = "msd"
    named_by = ("diversity", "kernel")

    def __init__(
        self, diversity: float, relevance: Relevance = "zscore", pool: int = 100, kernel: Kernel = "text"
    ) -> None:
        if kernel not in get_args(Kernel):
            raise ConfigError(
                f"kernel is {' or '.join(get_args(Kernel))}", where=f"rerank.{self.name}.kernel", got=kernel
            )
        self.name = "msd" if kernel == "text" else f"msd_{kernel}"
        self.kernel: Kernel = kernel
        super().__init__(diversity, relevance, pool)

    def _choose(self, pool: Pool, k: int) -> Tensor:
        base_BM = self._base(pool)
        distances: Bonus
        if self.kernel == "text":
            distances = _TextDistances(pool_vectors(pool.catalogue.vectors_ND, pool.looked_up()), base_BM)
        else:
            distances = _CategoryDistances(PoolCategories.of(pool, base_BM.dtype), pool.catalogue.category_count)
        return choose(base_BM, distances, self.diversity, k)


class _TextDistances:
    """Sum of distances to what is chosen."""

    def __init__(self, vectors_BMD: Tensor, like_BM: Tensor) -> None:
        self._vectors_BMD = vectors_BMD
        self._sum_BM = torch.zeros_like(like_BM)

    def value(self) -> Tensor:
        return self._sum_BM

    def add(self, chosen_B: Tensor) -> None:
        self._sum_BM += 1 - products(self._vectors_BMD, row_of(self._vectors_BMD, chosen_B)).to(self._sum_BM.dtype)


class _CategoryDistances:
    """The same on unit rows of A: the chosen rows are added up, so a step costs O(M J)."""

    def __init__(self, categories: PoolCategories, category_count: int) -> None:
        self._unit = categories.unit()
        self._chosen_BC = categories.weights_BMJ.new_zeros(categories.weights_BMJ.shape[0], category_count)
        self._count = 0

    def value(self) -> Tensor:
        return self._count - self._unit.weighted(self._chosen_BC)

    def add(self, chosen_B: Tensor) -> None:
        self._chosen_BC.scatter_add_(1, *self._unit.at(chosen_B))
        self._count += 1
