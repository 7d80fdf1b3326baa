"""Diversity that counts only where the user cares; the formulas are `divrec.measures`.

Intents are the categories of the user's targets (those that could be ranked); a user without any has no value. These
metrics read the list as it was delivered, its score ties broken; only accuracy takes the expectation over ties.
Shapes: B users, K items, T targets a user, C categories.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from divrec import measures
from divrec.batch import Catalogue, Slate
from divrec.metrics.history import history_profile
from divrec.metrics.lists import listed_categories
from divrec.metrics.mean import UserMean
from divrec.similarity import distance


@dataclass(frozen=True)
class Truth:
    """What is known of the users whose lists are measured.

    Attributes:
        targets_BT: relevant items that could be ranked, padded with -1.
        seen_BS: items of each user's history, padded with N.
        history_BS: their weights in [0, 1]; 0 is padding.
    """

    targets_BT: Tensor
    seen_BS: Tensor
    history_BS: Tensor


def intents(targets_BT: Tensor, catalogue: Catalogue) -> Tensor:
    """True for the categories (B, C) of each user's targets."""
    categories_BTJ, weights_BTJ = listed_categories(targets_BT, catalogue)
    mass_BC = weights_BTJ.new_zeros(len(targets_BT), catalogue.category_count)
    return mass_BC.scatter_add(1, categories_BTJ.flatten(1), weights_BTJ.flatten(1)) > 0


class _RelevanceMetric(UserMean):
    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k


class AlphaNDCG(_RelevanceMetric):
    """Mean alpha-nDCG (alpha = 1/2) on the categories of the targets, in [0, 1]; higher = novel intents lead."""

    def update(self, slate: Slate, catalogue: Catalogue, truth: Truth) -> None:
        """Add the first k items of each list."""
        categories_BKJ, weights_BKJ = listed_categories(slate.items_BK[:, : self.k], catalogue)
        self.add(measures.alpha_ndcg(categories_BKJ, weights_BKJ, intents(truth.targets_BT, catalogue)))


class SubtopicRecall(_RelevanceMetric):
    """Mean share of the target categories that a list touches, in [0, 1]; higher = more of them are served."""

    def update(self, slate: Slate, catalogue: Catalogue, truth: Truth) -> None:
        """Add the first k items of each list."""
        categories_BKJ, weights_BKJ = listed_categories(slate.items_BK[:, : self.k], catalogue)
        self.add(measures.subtopic_recall(categories_BKJ, weights_BKJ, intents(truth.targets_BT, catalogue)))


class ExpectedDistance(_RelevanceMetric):
    """Mean EILD: text distance inside the list, weighted by rank and by how far items serve the intents; in [0, 2]."""

    def update(self, slate: Slate, catalogue: Catalogue, truth: Truth) -> None:
        """Add the first k items of each list."""
        items_BK = slate.items_BK[:, : self.k]
        intents_BC = intents(truth.targets_BT, catalogue)
        relevance_BK = measures.intent_relevance(*listed_categories(items_BK, catalogue), intents_BC)
        vectors_BKD = catalogue.vectors_ND[items_BK.clamp(min=0)].double()
        values_B = measures.expected_intra_list_distance(
            distance(vectors_BKD, vectors_BKD), relevance_BK, items_BK >= 0
        )
        self.add(values_B.masked_fill(~intents_BC.any(-1), torch.nan))


class Serendipity(_RelevanceMetric):
    """Mean over the list's places of hit times text distance from the history, in [0, 2]; NaN for an empty history."""

    def update(self, slate: Slate, catalogue: Catalogue, truth: Truth) -> None:
        """Add the first k items of each list."""
        items_BK = slate.items_BK[:, : self.k]
        hits_BK = ((items_BK.unsqueeze(-1) == truth.targets_BT.unsqueeze(1)) & (items_BK >= 0).unsqueeze(-1)).any(-1)
        profile_BD = history_profile(catalogue, truth.seen_BS, truth.history_BS)
        distances_BK = measures.profile_distance(catalogue.vectors_ND[items_BK.clamp(min=0)], profile_BD)
        without_B = ~(truth.targets_BT >= 0).any(-1)
        self.add(measures.serendipity(hits_BK, distances_BK).masked_fill(without_B, torch.nan))
