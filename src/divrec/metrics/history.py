"""The delivered list against what the user did before; the formulas are `divrec.measures`.

An empty history counts as the uniform reference wherever shares are compared, and is counted; an empty list has no
value. Shapes: B users, S history items a user, C categories, D dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from divrec import measures
from divrec.batch import Catalogue, Slate
from divrec.metrics.lists import slate_share
from divrec.metrics.mean import UserMean

_ORDER, _MIX = 0.5, 0.01  # of the beta-divergence: both sides are mixed with that much of the uniform reference


def history_share(catalogue: Catalogue, seen_BS: Tensor, history_BS: Tensor) -> Tensor:
    """Category shares (B, C) of the histories, float64; an empty one is uniform."""
    touched_BS = seen_BS.clamp(max=catalogue.size - 1)  # padding has weight 0
    return measures.category_share(
        history_BS.double(),
        catalogue.categories_NJ[touched_BS],
        catalogue.category_weights_NJ[touched_BS],
        catalogue.category_count,
    )


def history_profile(catalogue: Catalogue, seen_BS: Tensor, history_BS: Tensor) -> Tensor:
    """Weighted mean (B, D) of the vectors of each history; NaN for an empty one."""
    if seen_BS.shape[1] == 0:  # an embedding bag of no places is refused
        return catalogue.vectors_ND.new_full((seen_BS.shape[0], catalogue.vectors_ND.shape[1]), torch.nan)
    touched_BS = seen_BS.clamp(max=catalogue.size - 1)
    weights_BS = history_BS.to(catalogue.vectors_ND.dtype)
    sum_BD = embedding_bag(touched_BS, catalogue.vectors_ND, per_sample_weights=weights_BS, mode="sum")
    total_B1 = weights_BS.sum(-1, keepdim=True)
    return sum_BD / total_B1.masked_fill(total_B1 == 0, torch.nan)


class _HistoryMetric(UserMean):
    """Takes, at each update, the lists, the catalogue and the histories.

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
            catalogue: gives categories and vectors.
            seen_BS: items of each user's history, padded with N.
            history_BS: their weights in [0, 1]; 0 is padding.
        """
        self.empty_histories = self.empty_histories + (history_BS.sum(-1) == 0).sum()
        self.add(self._values(slate.items_BK[:, : self.k], catalogue, seen_BS, history_BS))

    def _values(self, items_BK: Tensor, catalogue: Catalogue, seen_BS: Tensor, history_BS: Tensor) -> Tensor:
        return self._compare(slate_share(items_BK, catalogue), history_share(catalogue, seen_BS, history_BS))

    def _compare(self, share_BC: Tensor, history_BC: Tensor) -> Tensor:
        """Value of each user from the shares of list and history."""
        raise NotImplementedError


class HistoryOverlap(_HistoryMetric):
    """Mean overlap of the category shares of list and history, in [0, 1]; lower = farther from the history."""

    def _compare(self, share_BC: Tensor, history_BC: Tensor) -> Tensor:
        return measures.overlap(share_BC, history_BC)


class HistoryDivergence(_HistoryMetric):
    """Mean beta-divergence (order 1/2) of the list's category shares from the history's, from 0; higher = farther.

    Both are mixed with .01 of the uniform reference, as in the regularizer of that name, so it is finite.
    """

    def _compare(self, share_BC: Tensor, history_BC: Tensor) -> Tensor:
        uniform = _MIX / share_BC.shape[-1]
        return measures.beta_divergence((1 - _MIX) * share_BC + uniform, (1 - _MIX) * history_BC + uniform, _ORDER)


class Miscalibration(_HistoryMetric):
    """Mean KL(q^h, .99 q + .01 q^h) (Steck 2018), in [0, log 100]; 0 = the history's proportions."""

    def _compare(self, share_BC: Tensor, history_BC: Tensor) -> Tensor:
        return measures.calibration_kl(history_BC, share_BC)


class JensenShannonMiscalibration(_HistoryMetric):
    """Mean Jensen-Shannon divergence of list and history, in [0, log 2]; 0 = the same proportions."""

    def _compare(self, share_BC: Tensor, history_BC: Tensor) -> Tensor:
        return measures.jensen_shannon(share_BC, history_BC)


class Unexpectedness(_HistoryMetric):
    """Mean text distance 1 - cos between listed items and history items, in [0, 2]; NaN for an empty history."""

    def _values(self, items_BK: Tensor, catalogue: Catalogue, seen_BS: Tensor, history_BS: Tensor) -> Tensor:
        profile_BD = history_profile(catalogue, seen_BS, history_BS)
        return measures.unexpectedness(catalogue.vectors_ND[items_BK.clamp(min=0)], items_BK >= 0, profile_BD)
