"""Diversity inside the delivered list of each user; the formulas are `divrec.measures`.

An empty list has no value (NaN), and neither has one of items without a category where shares of categories are
compared; a list of one item has no distance. Shapes: B users, K items, C categories.
"""

from __future__ import annotations

import torch
from torch import Tensor

from divrec import measures
from divrec.batch import Catalogue, Slate
from divrec.metrics.mean import UserMean


def slate_share(items_BK: Tensor, catalogue: Catalogue) -> Tensor:
    """Share (B, C) of each category in the lists, float64; NaN where no listed item has a category."""
    categories_BKJ, weights_BKJ = listed_categories(items_BK, catalogue)
    share_BC = measures.category_share((items_BK >= 0).double(), categories_BKJ, weights_BKJ, catalogue.category_count)
    without_B = (weights_BKJ == 0).flatten(1).all(-1)
    return share_BC.masked_fill(without_B.unsqueeze(-1), torch.nan)


def listed_categories(items_BK: Tensor, catalogue: Catalogue) -> tuple[Tensor, Tensor]:
    """Categories (B, K, J) of the listed items and their weights, 0 at padding."""
    listed_BK = items_BK.clamp(min=0)
    weights_BKJ = catalogue.category_weights_NJ[listed_BK].masked_fill((items_BK < 0).unsqueeze(-1), 0)
    return catalogue.categories_NJ[listed_BK], weights_BKJ


class _ListMetric(UserMean):
    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k


class CategoryEntropy(_ListMetric):
    """Mean entropy of the list's category shares in nats, in [0, log C]; higher = more diverse."""

    def update(self, slate: Slate, catalogue: Catalogue) -> None:
        """Add the first k items of each list."""
        self.add(measures.entropy(slate_share(slate.items_BK[:, : self.k], catalogue)))


class SimpsonDiversity(_ListMetric):
    """Mean of 1 - sum_c q_c^2 over the list's category shares, in [0, 1 - 1/C]; higher = more diverse."""

    def update(self, slate: Slate, catalogue: Catalogue) -> None:
        """Add the first k items of each list."""
        self.add(1 - measures.simpson(slate_share(slate.items_BK[:, : self.k], catalogue)))


class AverageDistance(_ListMetric):
    """Mean of the average pairwise text distance 1 - cos of a list (ILAD), in [0, 2]; higher = more diverse."""

    def update(self, slate: Slate, catalogue: Catalogue) -> None:
        """Add the first k items of each list."""
        items_BK = slate.items_BK[:, : self.k]
        vectors_BKD = catalogue.vectors_ND[items_BK.clamp(min=0)]
        self.add(measures.average_distance((items_BK >= 0).to(vectors_BKD.dtype), vectors_BKD))


class MinimumDistance(_ListMetric):
    """Mean of the smallest pairwise text distance 1 - cos of a list (ILMD), in [0, 2]; 0 = it holds a duplicate."""

    def update(self, slate: Slate, catalogue: Catalogue) -> None:
        """Add the first k items of each list."""
        items_BK = slate.items_BK[:, : self.k]
        self.add(measures.minimum_distance(catalogue.vectors_ND[items_BK.clamp(min=0)], items_BK >= 0))


class PopularityBias(_ListMetric):
    """Mean popularity weight of the listed items, in [0, 1); lower = more of the long tail."""

    def update(self, slate: Slate, catalogue: Catalogue) -> None:
        """Add the first k items of each list."""
        items_BK = slate.items_BK[:, : self.k]
        weights_BK = measures.popularity_weight(catalogue.counts_N)[items_BK.clamp(min=0)]
        self.add(measures.popularity_bias(weights_BK, items_BK >= 0))


class DistinctCategories(_ListMetric):
    """Mean number of categories that a list touches, in [1, C]; higher = more diverse."""

    def update(self, slate: Slate, catalogue: Catalogue) -> None:
        """Add the first k items of each list."""
        self.add(measures.distinct_categories(slate_share(slate.items_BK[:, : self.k], catalogue)))


class CategoryAverageDistance(_ListMetric):
    """Mean of the average pairwise distance 1 - cos of the items' category rows, in [0, 1]; 1 = nothing in common."""

    def update(self, slate: Slate, catalogue: Catalogue) -> None:
        """Add the first k items of each list."""
        items_BK = slate.items_BK[:, : self.k]
        distances_BKK = measures.category_distances(*listed_categories(items_BK, catalogue))
        self.add(measures.distance_summary(distances_BKK, items_BK >= 0)[0])


class CategoryMinimumDistance(_ListMetric):
    """Mean of the smallest pairwise distance 1 - cos of the items' category rows, in [0, 1]; 0 = two are alike."""

    def update(self, slate: Slate, catalogue: Catalogue) -> None:
        """Add the first k items of each list."""
        items_BK = slate.items_BK[:, : self.k]
        distances_BKK = measures.category_distances(*listed_categories(items_BK, catalogue))
        self.add(measures.distance_summary(distances_BKK, items_BK >= 0)[1])


class Vendi(_ListMetric):
    """Mean Vendi score of the list's texts: the effective number of unlike items, in [1, k]; higher = more diverse."""

    def update(self, slate: Slate, catalogue: Catalogue) -> None:
        """Add the first k items of each list."""
        items_BK = slate.items_BK[:, : self.k]
        self.add(measures.vendi_score(catalogue.vectors_ND[items_BK.clamp(min=0)], items_BK >= 0))


class LongTailShare(_ListMetric):
    """Mean share of listed items from the tail or without any training event, in [0, 1]; higher = more long tail.

    The tail is the least popular items that hold 20 % of the training events (`divrec.measures.popularity_class`).
    """

    def update(self, slate: Slate, catalogue: Catalogue) -> None:
        """Add the first k items of each list."""
        items_BK = slate.items_BK[:, : self.k]
        classes_BK = measures.popularity_class(catalogue.counts_N)[items_BK.clamp(min=0)]
        self.add(measures.long_tail_share(classes_BK, items_BK >= 0))


class AveragePopularity(_ListMetric):
    """Mean number of training events of the listed items (Yin et al. 2012), from 0; lower = more long tail."""

    def update(self, slate: Slate, catalogue: Catalogue) -> None:
        """Add the first k items of each list."""
        items_BK = slate.items_BK[:, : self.k]
        self.add(measures.average_popularity(catalogue.counts_N[items_BK.clamp(min=0)], items_BK >= 0))
