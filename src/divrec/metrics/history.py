"""The delivered list against what the user did before; the formulas are `divrec.measures`."""

from __future__ import annotations

import torch
from torch import Tensor

from divrec import measures
from divrec.batch import Catalogue, Slate
from divrec.metrics.lists import slate_share
from divrec.metrics.mean import UserMean


class HistoryOverlap(UserMean):
    """Mean overlap of the category shares of list and history, in [0, 1]; lower = farther from the history.

    An empty history counts as the uniform reference, and is counted; an empty list has no value.

    Attributes:
        empty_histories: number of users without any weight in their history.
    """

    empty_histories: Tensor

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k
        self.add_state("empty_histories", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, slate: Slate, catalogue: Catalogue, seen_BS: Tensor, history_BS: Tensor) -> None:
        """Add the first k items of each list.

        Args:
            slate: the lists.
            catalogue: gives the categories.
            seen_BS: items of each user's history, padded with N.
            history_BS: their weights in [0, 1]; 0 is padding.
        """
        touched_BS = seen_BS.clamp(max=catalogue.size - 1)
        history_BC = measures.category_share(
            history_BS.double(),
            catalogue.categories_NJ[touched_BS],
            catalogue.category_weights_NJ[touched_BS],
            catalogue.category_count,
        )
        self.empty_histories = self.empty_histories + (history_BS.sum(-1) == 0).sum()
        self.add(measures.overlap(slate_share(slate.items_BK[:, : self.k], catalogue), history_BC))
