"""The recommender: Batch -> ModelOutput. It knows no loss and no Lightning.

Shapes: W whitened width, N items, R some of them, D dimension, Q queries, C candidates.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from divrec.batch import Batch, ModelOutput, Request
from divrec.models.item import ItemTower


class Recommender(nn.Module):
    """Two towers and a dot product: score = <user, item>.

    Args:
        item_tower: gives item vectors (N, D), or those of some rows (R, D).
        user: (items_ND, batch) -> user vectors (Q, D).
        bias_N: start of a trained score that every item has for everybody, or None for no such score. It enters as one
            more dimension, in which every user vector is 1, so that a score stays a dot product.
    """

    def __init__(
        self, item_tower: ItemTower, user: Callable[[Tensor, Batch], Tensor], bias_N: Tensor | None = None
    ) -> None:
        super().__init__()
        self.item_tower, self.user = item_tower, user
        self.bias_N = None if bias_N is None else nn.Parameter(bias_N.clone())
        self._table_ND: Tensor | None = None

    def forward(self, batch: Batch, request: Request | None = None) -> ModelOutput:
        """Scores of all items for every query, or what a request asks for.

        With candidates requested, only they and the items of the histories pass through the item tower: activations and
        scores of a step do not grow with the catalogue, unless the leading queries are wanted on every item. What the
        optimizer does still grows: gradient and optimizer state of an ID embedding are dense, N x D each, as are those
        of the popularity scores, N each. With vectors requested, all items pass, and no scores are held but those of
        the leading queries.
        """
        if request is None or request.candidates_C is None or request.leading:
            items_ND = self._items(batch)
            users_QD = self._with_one(self.user(items_ND, batch))
            items_ND = self._with_bias(items_ND)
            if request is None:
                return ModelOutput(users_QD @ items_ND.T, users_QD, items_ND)
            leaders_BD = users_QD[: batch.users_B.shape[0]]
            leading_BN = leaders_BD @ items_ND.T if request.leading else users_QD.new_empty(0, 0)
            if request.candidates_C is None:
                return ModelOutput(leading_BN, users_QD, items_ND)
            candidates_CD = items_ND[request.candidates_C]
            return ModelOutput(leading_BN, users_QD, candidates_CD, users_QD @ candidates_CD.T)
        return self._few(batch, request.candidates_C)

    def train(self, mode: bool = True) -> Recommender:
        """Switch between training and evaluation; forgets the item table of the last evaluation."""
        self._table_ND = None
        super().train(mode)
        return self

    def _few(self, batch: Batch, candidates_C: Tensor) -> ModelOutput:
        rows_R = torch.unique(torch.cat([batch.items_BL.flatten(), candidates_C]))
        items_RD = self.item_tower(rows_R, _touched(batch))
        local = dataclasses.replace(batch, items_BL=torch.searchsorted(rows_R, batch.items_BL.contiguous()))
        users_QD = self._with_one(self.user(items_RD, local))
        candidates_CD = self._with_bias(items_RD[torch.searchsorted(rows_R, candidates_C)], candidates_C)
        return ModelOutput(users_QD.new_empty(0, 0), users_QD, candidates_CD, users_QD @ candidates_CD.T)

    def _with_bias(self, items_RD: Tensor, rows_R: Tensor | None = None) -> Tensor:
        if self.bias_N is None:
            return items_RD
        bias_R = self.bias_N if rows_R is None else self.bias_N[rows_R]
        return torch.cat([items_RD, bias_R.unsqueeze(-1)], dim=-1)

    def _with_one(self, users_QD: Tensor) -> Tensor:
        return users_QD if self.bias_N is None else torch.cat([users_QD, torch.ones_like(users_QD[:, :1])], dim=-1)

    def _items(self, batch: Batch) -> Tensor:
        """Item vectors, computed once for a whole evaluation and anew for each training step."""
        if self.training or torch.is_grad_enabled():
            return self.item_tower(live_items=_touched(batch))
        if self._table_ND is None:
            # Detached: an ID-only tower returns its parameter, which the module would take for one of its own.
            self._table_ND = self.item_tower().detach()
        return self._table_ND


def _touched(batch: Batch) -> Tensor:
    """Items of a batch, with repeats: the targets first, then the histories."""
    return torch.cat([batch.target_items_P, batch.items_BL[batch.groups_BL >= 0]])
