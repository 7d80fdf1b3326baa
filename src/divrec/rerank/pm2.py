"""Proportionality by seats (PM-2, Dang & Croft 2012): places of the list go to categories as seats to parties.

Shapes: B users, M candidates, C categories.
"""

from __future__ import annotations

import torch
from torch import Tensor

from divrec.errors import ConfigError
from divrec.rerank.categories import PoolCategories, history_share
from divrec.rerank.greedy import choose
from divrec.rerank.relevance import Relevance
from divrec.rerank.strategy import Pool, PoolStrategy


class Proportionality(PoolStrategy):
    """Choose by (1 - diversity) * relevance + diversity * sum_c w_c quotient_c A_ic.

    quotient_c = q^h_c / (2 seats_c + 1) (Sainte-Lague), q^h the category share of the history, seats_c what the chosen
    items hold of the category; w = focus for the category with the greatest quotient, 1 - focus for the others. The
    paper has no relevance of its own beside P(i | c); the knob mixes it in, so that 0 is the ranking as it came.

    Args:
        diversity: 0 = the ranking as it came, 1 = seats only.
        relevance: "zscore" or "probability", see `PoolStrategy`.
        pool: number of best ranked items that can be chosen.
        focus: in [0, 1]; the paper's lambda: 1 = each place serves the leading category only.

    Raises:
        ConfigError: an argument is out of its range.
    """

    name = "pm2"
    reads_history = True

    def __init__(self, diversity: float, relevance: Relevance = "zscore", pool: int = 100, focus: float = 0.9) -> None:
        if not 0 <= focus <= 1:
            raise ConfigError("focus lies in [0, 1]", where=f"rerank.{self.name}.focus", got=focus)
        super().__init__(diversity, relevance, pool)
        self.focus = focus

    def _choose(self, pool: Pool, k: int) -> Tensor:
        base_BM = self._base(pool)
        seats = _Seats(PoolCategories.of(pool, base_BM.dtype), history_share(pool, base_BM.dtype), self.focus)
        return choose(base_BM, seats, self.diversity, k)


class _Seats:
    def __init__(self, categories: PoolCategories, votes_BC: Tensor, focus: float) -> None:
        self._categories = categories
        self._votes_BC = votes_BC
        self._focus = focus
        self._seats_BC = torch.zeros_like(votes_BC)

    def value(self) -> Tensor:
        quotient_BC = self._votes_BC / (2 * self._seats_BC + 1)
        leading_B1 = quotient_BC.argmax(-1, keepdim=True)
        priced_BC = (1 - self._focus) * quotient_BC
        priced_BC.scatter_(1, leading_B1, self._focus * quotient_BC.gather(1, leading_B1))
        return self._categories.weighted(priced_BC)

    def add(self, chosen_B: Tensor) -> None:
        self._seats_BC.scatter_add_(1, *self._categories.at(chosen_B))
