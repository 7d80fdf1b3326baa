"""Calibrated recommendations (Steck 2018): lists whose categories follow the proportions of the user's history.

Shapes: B users, M candidates, C categories.
"""

from __future__ import annotations

import torch
from torch import Tensor

from divrec.rerank.categories import PoolCategories, history_share
from divrec.rerank.greedy import choose
from divrec.rerank.strategy import Pool, PoolStrategy

_MIX = 0.01  # of the history in the list's distribution, so that the divergence is finite (the paper's alpha)


class Calibration(PoolStrategy):
    """Choose by (1 - diversity) * relevance - diversity * KL(q^h, .99 q + .01 q^h) of the list with the item.

    q is the list's category share, q^h the history's; an empty history counts as uniform. The first item, too, is
    chosen for both. It brings back what the model neglects of a user's interests, and nothing beyond them.
    """

    name = "calibrated"
    reads_history = True

    def _choose(self, pool: Pool, k: int) -> Tensor:
        base_BM = self._base(pool)
        fit = _Fit(PoolCategories.of(pool, base_BM.dtype), history_share(pool, base_BM.dtype))
        return choose(base_BM, fit, self.diversity, k)


class _Fit:
    """-KL of the list with each candidate. A candidate changes only its own categories' terms: O(C + M J) a step."""

    def __init__(self, categories: PoolCategories, history_BC: Tensor) -> None:
        self._categories = categories
        self._history_BC = history_BC
        self._history_BMJ = categories.look_up(history_BC)
        self._mass_BC = torch.zeros_like(history_BC)
        self._size = 0

    def value(self) -> Tensor:
        term_BC = self._term(self._history_BC, self._mass_BC)
        mass_BMJ = self._categories.look_up(self._mass_BC)
        with_item_BMJ = self._term(self._history_BMJ, mass_BMJ + self._categories.weights_BMJ)
        change_BM = (with_item_BMJ - self._categories.look_up(term_BC)).sum(-1)
        certain_B1 = torch.xlogy(self._history_BC, self._history_BC).sum(-1, keepdim=True)
        return term_BC.sum(-1, keepdim=True) + change_BM - certain_B1

    def add(self, chosen_B: Tensor) -> None:
        self._mass_BC.scatter_add_(1, *self._categories.at(chosen_B))
        self._size += 1

    def _term(self, history: Tensor, mass: Tensor) -> Tensor:
        return torch.xlogy(history, (1 - _MIX) * mass / (self._size + 1) + _MIX * history)
