"""Accuracy of a ranking of all items; the formulas are `divrec.measures`.

For a re-ranked list, hand in `divrec.ranking.delivered_ranks(slate, ranking)`, but for the AUCs the ranking itself.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

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


class Precision(_TopK):
    """Mean of hits in the top k over k, in [0, 1]; short lists count as padded with misses."""

    def update(self, ranking: Ranking) -> None:
        """Add the users of a ranking."""
        self.add(measures.precision(ranking.above_BT, ranking.ties_BT, self.k))


class HitRate(_TopK):
    """Share of users with a hit in the top k, in [0, 1]; with one target a user it equals recall."""

    def update(self, ranking: Ranking) -> None:
        """Add the users of a ranking."""
        self.add(measures.hit_rate(ranking.above_BT, ranking.ties_BT, self.k))


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


class MAP(_TopK):
    """Mean average precision of the top k over min(k, relevant), in [0, 1]; 1 = hits lead the list."""

    def update(self, ranking: Ranking) -> None:
        """Add the users of a ranking."""
        self.add(measures.average_precision(ranking.above_BT, ranking.ties_BT, self.k))


class AUC(UserMean):
    """Mean chance that a relevant item scores above another one, in [0, 1]; .5 = chance, 1 = never below."""

    def update(self, ranking: Ranking) -> None:
        """Add the users of a ranking as the model made it, not as delivered."""
        self.add(measures.auc(ranking.above_BT, ranking.ties_BT, ranking.candidates_B))


class PooledAUC(Metric):
    """Share of all (relevant item, other item) pairs that the relevant one wins, in [0, 1]; ties count half.

    A pair is of one user: scores of different users are not compared, for no list mixes them. So it is the AUC of the
    users weighted by their pairs; who has many targets counts more than in `AUC`. The state is integer counts.
    """

    is_differentiable = False
    full_state_update = False
    won_twice: Tensor
    pairs: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("won_twice", "pairs"):
            self.add_state(name, torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, ranking: Ranking) -> None:
        """Add the users of a ranking as the model made it, not as delivered."""
        won_B, pairs_B = measures.pairs_won_twice(ranking.above_BT, ranking.ties_BT, ranking.candidates_B)
        self.won_twice = self.won_twice + won_B.sum()
        self.pairs = self.pairs + pairs_B.sum()

    def compute(self) -> Tensor:
        """The share over all pairs so far; NaN without any."""
        return self.won_twice.double() / (2 * self.pairs)
