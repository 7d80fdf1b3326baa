"""Accuracy of a ranking of all items; the formulas are `divrec.measures`.

For a re-ranked list, hand in `divrec.ranking.delivered_ranks(slate, ranking)`, but for AUC the ranking itself.
"""

from __future__ import annotations

from divrec import measures
from divrec.batch import Ranking
from divrec.metrics.mean import UserMean


class _TopK(UserMean):
    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k


class Recall(_TopK):
    """Mean of hits in the top k over relevant items, in [0, 1]; 1 = all relevant items are delivered."""

    def update(self, ranking: Ranking) -> None:
        """Add the users of a ranking."""
        self.add(measures.recall(ranking.above_BT, ranking.ties_BT, self.k))


class NDCG(_TopK):
    """Mean normalized discounted cumulated gain of the top k, binary relevance, in [0, 1]; 1 = hits lead the list."""

    def update(self, ranking: Ranking) -> None:
        """Add the users of a ranking."""
        self.add(measures.ndcg(ranking.above_BT, ranking.ties_BT, self.k))


class MRR(_TopK):
    """Mean reciprocal rank of the first hit, 0 beyond rank k, in [0, 1]; 1 = the first item is always a hit."""

    def update(self, ranking: Ranking) -> None:
        """Add the users of a ranking."""
        self.add(measures.mrr(ranking.above_BT, ranking.ties_BT, self.k))


class AUC(UserMean):
    """Mean chance that a relevant item scores above another one, in [0, 1]; .5 = chance, 1 = never below."""

    def update(self, ranking: Ranking) -> None:
        """Add the users of a ranking as the model made it, not as delivered."""
        self.add(measures.auc(ranking.above_BT, ranking.ties_BT, ranking.candidates_B))
