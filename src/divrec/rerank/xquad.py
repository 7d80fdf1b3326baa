"""Explicit query aspect diversification (Santos, Macdonald & Ounis 2010) with the history's categories as aspects.

Shapes: B users, M candidates, C categories.
"""

from __future__ import annotations

from torch import Tensor

from divrec.errors import ConfigError
from divrec.rerank.categories import PoolCategories, history_share
from divrec.rerank.greedy import choose
from divrec.rerank.relevance import Relevance
from divrec.rerank.strategy import Pool, PoolStrategy


class AspectDiversification(PoolStrategy):
    """Choose by (1 - diversity) * relevance + diversity * sum_c q^h_c P(i | c) prod_{j chosen} (1 - P(j | c)).

    q^h is the category share of the user's history and P(i | c) = satisfaction * A_ic: the chance that an item of the
    category is what the user wanted from it. So categories come in the order of the history's interest, each one
    counting less after every item it has got.

    Args:
        diversity: 0 = the ranking as it came, 1 = aspects only.
        relevance: "zscore" or "probability", see `PoolStrategy`.
        pool: number of best ranked items that can be chosen.
        satisfaction: in (0, 1]; 1 = one item settles its category, small = categories stay nearly as open as they were.

    Raises:
        ConfigError: an argument is out of its range.
    """

    name = "xquad"
    reads_history = True

    def __init__(
        self, diversity: float, relevance: Relevance = "zscore", pool: int = 100, satisfaction: float = 0.5
    ) -> None:
        if not 0 < satisfaction <= 1:
            raise ConfigError("satisfaction lies in (0, 1]", where=f"rerank.{self.name}.satisfaction", got=satisfaction)
        super().__init__(diversity, relevance, pool)
        self.satisfaction = satisfaction

    def _choose(self, pool: Pool, k: int) -> Tensor:
        base_BM = self._base(pool)
        categories = PoolCategories.of(pool, base_BM.dtype)
        return choose(
            base_BM,
            _OpenAspects(categories, history_share(pool, base_BM.dtype), self.satisfaction),
            self.diversity,
            k,
        )


class _OpenAspects:
    def __init__(self, categories: PoolCategories, interest_BC: Tensor, satisfaction: float) -> None:
        self._categories = categories
        self._open_BC = interest_BC.clone()
        self._satisfaction = satisfaction

    def value(self) -> Tensor:
        return self._satisfaction * self._categories.weighted(self._open_BC)

    def add(self, chosen_B: Tensor) -> None:
        categories_BJ, weights_BJ = self._categories.at(chosen_B)
        self._open_BC.scatter_reduce_(1, categories_BJ, 1 - self._satisfaction * weights_BJ, reduce="prod")
