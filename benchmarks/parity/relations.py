"""What divrec says where another library says something: the same, or the same by a factor that is written down.

Shapes: B users, K places, N items, C categories.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from parity.cases import Case
from torch import Tensor

from divrec import measures
from divrec.metrics import SlateMetrics
from divrec.metrics.lists import slate_share
from divrec.ranking import deliver

Values = NDArray[np.float64]
SMOOTHING = 1e-6  # what LensKit's entropy adds to each category


@dataclass(frozen=True)
class Own:
    """What divrec says of a case.

    Attributes:
        case: the users.
        values: name -> a value a user, or one of all lists together.
    """

    case: Case
    values: dict[str, Values]

    @classmethod
    def of(cls, case: Case) -> Own:
        """All metrics at k."""
        metrics, ranking = SlateMetrics(case.catalogue, case.k), case.ranking()
        unweighted_BS = torch.zeros(case.seen_BS.shape, dtype=torch.float64)
        values = metrics.update(ranking, deliver(ranking, case.k), case.seen_BS, unweighted_BS)
        found = {name.split("@")[0]: column.numpy() for name, column in values.items()}
        for name, value in metrics.compute().items():
            found.setdefault(name.split("@")[0], np.asarray([value]))
        return cls(case, found)

    @property
    def length(self) -> Values:
        """Items in each list."""
        return np.asarray([len(items) for items in self.case.lists()], dtype=np.float64)

    @property
    def relevant(self) -> Values:
        """Relevant items of each user that could be ranked."""
        return np.asarray([len(items) for items in self.case.targets()], dtype=np.float64)

    @property
    def reachable(self) -> Values:
        """Relevant items that k places can hold."""
        return np.minimum(self.relevant, self.case.k)


@dataclass(frozen=True)
class Relation:
    """One metric of another library, and divrec's value in its terms.

    Attributes:
        library: its name.
        call: the metric as it is called there.
        ours: divrec's name; "" = there is none.
        how: in words, what is done to divrec's value; "" = nothing.
        value: the same in code; None = no factor leads from one to the other.
        accuracy: whether it reads the targets, so that ties are a matter of expectation.
        remark: what a reader should know of their definition.
    """

    library: str
    call: str
    ours: str
    how: str = ""
    value: Callable[[Own], Values] | None = None
    accuracy: bool = True
    remark: str = ""


def _same(name: str) -> Callable[[Own], Values]:
    return lambda own: own.values[name]


def _ratio(above: Values, below: Values) -> Values:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def _discounts(count_B: Values) -> Values:
    """Gain of so many hits at the first ranks."""
    cumulated = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, 2 + int(count_B.max(initial=0)))))])
    gains: Values = cumulated[count_B.astype(int)]
    return gains


def _k_ideal(own: Own) -> Values:
    return own.values["ndcg"] * _discounts(own.reachable) / _discounts(np.full_like(own.relevant, own.case.k))


def _smoothed_entropy(own: Own) -> Values:
    listed_B1 = torch.from_numpy(own.length).unsqueeze(-1)
    share_BC = slate_share(own.case.ranking().items_BM, own.case.catalogue)
    mass_BC = share_BC.nan_to_num(0) * listed_B1 + SMOOTHING
    return (
        (measures.entropy(mass_BC / mass_BC.sum(-1, keepdim=True)) / np.log(2))
        .masked_fill(listed_B1.squeeze(-1) == 0, torch.nan)
        .numpy()
    )


def _information(own: Own) -> Values:
    largest = np.log2(float(own.case.counts_N.sum() + len(own.case.counts_N)))
    return (1 - own.values["popularity"]) * largest


def _rank_gain(own: Own) -> Tensor:
    """RecTools' unexpectedness of each place (B, K): how far the item's rank is above that of its popularity."""
    items_BK, counts_N = own.case.ranking().items_BM, own.case.counts_N
    size = len(counts_N)
    levels = counts_N.unique().flip(0)  # one rank a count, the greatest first
    popularity_N = (counts_N.unsqueeze(-1) == levels).int().argmax(-1) + 1
    places_K = torch.arange(1, items_BK.shape[1] + 1)
    return (popularity_N[items_BK.clamp(min=0)] - places_K).clamp(min=0).double() / size


def _rank_serendipity(own: Own) -> Values:
    ranking = own.case.ranking()
    hits_BK = (ranking.items_BM.unsqueeze(-1) == ranking.targets_BT.unsqueeze(1)) & (ranking.items_BM >= 0).unsqueeze(
        -1
    )
    value_B = measures.serendipity(hits_BK.any(-1), _rank_gain(own)).numpy()
    return value_B * _ratio(np.full_like(own.length, own.case.k), own.length)


_LENSKIT = [
    Relation("lenskit", "NDCG(k, weight=LogRankWeight(offset=1))", "ndcg", value=_same("ndcg")),
    Relation("lenskit", "NDCG(k)", "ndcg", remark="discount 1 / log2(max(rank, 2)): the first two ranks weigh alike"),
    Relation(
        "lenskit",
        "Recall(k)",
        "recall",
        "times relevant / min(k, relevant)",
        lambda own: _ratio(own.values["recall"] * own.relevant, own.reachable),
        remark="over min(k, relevant), so that 1 is always within reach",
    ),
    Relation(
        "lenskit",
        "Precision(k)",
        "precision",
        "times k / length of the list",
        lambda own: _ratio(own.values["precision"] * own.case.k, own.length),
        remark="over the length of a list that is shorter than k; NaN for an empty one",
    ),
    Relation("lenskit", "Hit(k)", "hit_rate", value=_same("hit_rate")),
    Relation("lenskit", "RecipRank(k)", "mrr", value=_same("mrr")),
    Relation(
        "lenskit",
        "AveragePrecision(k)",
        "map",
        "times min(k, relevant) / min(length of the list, relevant)",
        lambda own: _ratio(own.values["map"] * own.reachable, np.minimum(own.relevant, own.length)),
        remark="over what a shorter list could hold; NaN for an empty one; fails for a user without targets",
    ),
    Relation(
        "lenskit",
        "entropy(items, categories, n=k)",
        "entropy",
        "in bits, 1e-6 added to each category",
        _smoothed_entropy,
        accuracy=False,
        remark="in bits, and smoothed, so that one category alone is not quite 0",
    ),
    Relation("lenskit", "ListGini(k, items=N)", "gini", value=_same("gini"), accuracy=False),
    Relation(
        "lenskit",
        "ExposureGini(k, items=N)",
        "gini",
        accuracy=False,
        remark="a place weighs .85^(rank - 1); divrec's `gini` counts lists, as their ListGini does",
    ),
]
_RECTOOLS = [
    Relation("rectools", "NDCG(k, divide_by_achievable=True)", "ndcg", value=_same("ndcg")),
    Relation(
        "rectools",
        "NDCG(k)",
        "ndcg",
        "times ideal DCG of min(k, relevant) hits / of k hits",
        _k_ideal,
        remark="its ideal has k hits however few items are relevant, so 1 is out of reach for most users",
    ),
    Relation("rectools", "Recall(k)", "recall", value=_same("recall")),
    Relation("rectools", "Precision(k)", "precision", value=_same("precision")),
    Relation("rectools", "HitRate(k)", "hit_rate", value=_same("hit_rate")),
    Relation("rectools", "MRR(k)", "mrr", value=_same("mrr")),
    Relation(
        "rectools",
        "MAP(k)",
        "map",
        "times min(k, relevant) / relevant",
        lambda own: _ratio(own.values["map"] * own.reachable, own.relevant),
        remark="over all relevant items, even those that k places cannot hold",
    ),
    Relation(
        "rectools",
        "IntraListDiversity(k, 1 - cosine)",
        "ilad",
        value=_same("ilad"),
        accuracy=False,
        remark="0 for a list of one item, where divrec has no value",
    ),
    Relation(
        "rectools",
        "IntraListDiversity(k, Hamming)",
        "ilad_category",
        "times 2",
        lambda own: own.values["ilad_category"] * 2,
        accuracy=False,
        remark="of one-hot categories: two items of unlike categories differ in two places",
    ),
    Relation(
        "rectools", "AvgRecPopularity(k)", "average_popularity", value=_same("average_popularity"), accuracy=False
    ),
    Relation(
        "rectools",
        "MeanInvUserFreq(k)",
        "popularity",
        "(1 - popularity) log2(n + N)",
        _information,
        accuracy=False,
        remark="of a log with one more event of each item; divrec's is scaled to [0, 1) and lower = more long tail",
    ),
    Relation(
        "rectools",
        "Serendipity(k)",
        "serendipity",
        "formula alone, with their rank gain for the text distance, over the length of the list",
        _rank_serendipity,
        accuracy=False,
        remark="unexpected = ranked higher than by popularity; divrec's is the text distance from the history",
    ),
    Relation("rectools", "CatalogCoverage(k, normalize=True)", "coverage", value=_same("coverage"), accuracy=False),
]
RELATIONS = (*_LENSKIT, *_RECTOOLS)
