"""The recommender: Batch -> ModelOutput. It knows no loss and no Lightning.

Shapes: T distinct texts, W whitened width, N items, D dimension, Q queries.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from divrec.batch import Batch, ModelOutput


class ItemTower(nn.Module):
    """item = projection of its text vector + optional ID embedding.

    Args:
        text_tower: gives whitened text vectors (T, W) of the distinct texts.
        text_of_item_N: for each item its text's place among the distinct ones.
        width: W.
        dim: D.
        hidden: width of the projection's hidden layer.
        id_embedding: whether each item has a vector of its own beside its text; without, new items are ranked on a par.
    """

    text_of_item_N: Tensor

    def __init__(
        self,
        text_tower: nn.Module,
        text_of_item_N: Tensor,
        width: int,
        dim: int,
        hidden: int = 128,
        id_embedding: bool = True,
    ) -> None:
        super().__init__()
        self.text_tower = text_tower
        self.register_buffer("text_of_item_N", text_of_item_N, persistent=False)
        self.project = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.identity = nn.Embedding(len(text_of_item_N), dim) if id_embedding else None
        # Unit text vectors come in; the start is as small as the ID embedding's, so that the softmax starts flat.
        self.scale = nn.Parameter(torch.tensor(0.1))
        if self.identity is not None:
            nn.init.normal_(self.identity.weight, std=0.02)

    def forward(self) -> Tensor:
        """Item vectors (N, D)."""
        items_ND = (self.scale * self.project(self.text_tower()))[self.text_of_item_N]
        return items_ND if self.identity is None else items_ND + self.identity.weight


class Recommender(nn.Module):
    """Two towers and a dot product: score = <user, item> over all items.

    Args:
        item_tower: gives all item vectors (N, D).
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

    def forward(self, batch: Batch) -> ModelOutput:
        """Scores of all items for every query."""
        items_ND = self._items()
        users_QD = self.user(items_ND, batch)
        if self.bias_N is not None:
            items_ND = torch.cat([items_ND, self.bias_N.unsqueeze(-1)], dim=-1)
            users_QD = torch.cat([users_QD, torch.ones_like(users_QD[:, :1])], dim=-1)
        return ModelOutput(users_QD @ items_ND.T, users_QD, items_ND)

    def train(self, mode: bool = True) -> Recommender:
        """Switch between training and evaluation; forgets the item table of the last evaluation."""
        self._table_ND = None
        super().train(mode)
        return self

    def _items(self) -> Tensor:
        """Item vectors, computed once for a whole evaluation and anew for each training step."""
        if self.training or torch.is_grad_enabled():
            return self.item_tower()
        if self._table_ND is None:
            self._table_ND = self.item_tower()
        return self._table_ND
