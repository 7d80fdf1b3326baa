"""Metrics of LensKit and RecTools, called as their manuals say: recommended items and test items in, values out.

Both want an environment of their own (see metric_parity.py). A value a user, NaN where the library has none; a metric
of all lists together gives one value.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Shop:
    """What the libraries are told of the items.

    Attributes:
        vectors_ND: unit vectors.
        categories_NC: share of each category in each item.
        counts_N: training events of each item.
    """

    vectors_ND: Values
    categories_NC: Values
    counts_N: NDArray[np.int64]


@dataclass(frozen=True)
class Delivered:
    """Lists and truth of some users, by item number.

    Attributes:
        lists: recommended items of each user, best first.
        targets: relevant items of each user.
        k: length that is measured.
        shop: the items.
    """

    lists: Sequence[Sequence[int]]
    targets: Sequence[Sequence[int]]
    k: int
    shop: Shop


Library = Callable[[Delivered], Values]


def lenskit_metrics() -> dict[str, Library]:
    """How it is called -> values."""
    from lenskit.metrics import NDCG, ExposureGini, Hit, ListGini, LogRankWeight, Precision, Recall, RecipRank
    from lenskit.metrics.ranking import AveragePrecision

    return {
        "NDCG(k, weight=LogRankWeight(offset=1))": _by_list(lambda k: NDCG(k, weight=LogRankWeight(offset=1))),
        "NDCG(k)": _by_list(NDCG),
        "Recall(k)": _by_list(Recall),
        "Precision(k)": _by_list(Precision),
        "Hit(k)": _by_list(Hit),
        "RecipRank(k)": _by_list(RecipRank),
        "AveragePrecision(k)": _with_targets(_by_list(AveragePrecision)),
        "entropy(items, categories, n=k)": _lenskit_entropy,
        "ListGini(k, items=N)": _over_lists(ListGini),
        "ExposureGini(k, items=N)": _over_lists(ExposureGini),
    }


def rectools_metrics() -> dict[str, Library]:
    """How it is called -> values."""
    from rectools.metrics import MAP, MRR, NDCG, HitRate, Precision, Recall

    return {
        "NDCG(k, divide_by_achievable=True)": _by_table(lambda k: NDCG(k, divide_by_achievable=True)),
        "NDCG(k)": _by_table(NDCG),
        "Recall(k)": _by_table(Recall),
        "Precision(k)": _by_table(Precision),
        "HitRate(k)": _by_table(HitRate),
        "MRR(k)": _by_table(MRR),
        "MAP(k)": _by_table(MAP),
        "IntraListDiversity(k, 1 - cosine)": _rectools_cosine,
        "IntraListDiversity(k, Hamming)": _rectools_hamming,
        "AvgRecPopularity(k)": _rectools_popularity,
        "MeanInvUserFreq(k)": _rectools_novelty,
        "Serendipity(k)": _rectools_serendipity,
        "CatalogCoverage(k, normalize=True)": _rectools_coverage,
    }


def _item_list(items: Sequence[int], ordered: bool) -> Any:  # noqa: ANN401 - of an optional library
    from lenskit.data import ItemList

    return ItemList(item_ids=np.asarray(items, dtype=np.int64), ordered=ordered)


def _by_list(kind: Callable[[int], Any]) -> Library:
    def values(given: Delivered) -> Values:
        metric = kind(given.k)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="invalid value encountered")  # its 0 / 0 of nothing relevant
            pairs = zip(given.lists, given.targets, strict=True)
            found = [metric.measure_list(_item_list(items, True), _item_list(test, False)) for items, test in pairs]
        return np.asarray(found, dtype=np.float64)

    return values


def _with_targets(library: Library) -> Library:
    """Of the users who have targets: for one without, the library divides by zero."""

    def values(given: Delivered) -> Values:
        users = [user for user, targets in enumerate(given.targets) if targets]
        lists, targets = ([each[user] for user in users] for each in (given.lists, given.targets))
        found = np.full(len(given.lists), np.nan)
        found[users] = library(replace(given, lists=lists, targets=targets))
        return found

    return values


def _over_lists(kind: Callable[..., Any]) -> Library:
    def values(given: Delivered) -> Values:
        metric = kind(given.k, items=len(given.shop.counts_N))
        parts = [metric.measure_list(_item_list(items, True), None) for items in given.lists if items]
        return np.asarray([metric.summarize(parts)["value"]])

    return values


def _lenskit_entropy(given: Delivered) -> Values:
    from lenskit.metrics import entropy

    rows = [given.shop.categories_NC[list(items)] for items in given.lists]
    pairs = zip(given.lists, rows, strict=True)
    return np.asarray([entropy(_item_list(items, True), matrix, n=given.k) for items, matrix in pairs])


def _table(lists: Sequence[Sequence[int]]) -> pd.DataFrame:
    rows = [(user, item, rank) for user, items in enumerate(lists) for rank, item in enumerate(items, start=1)]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "rank"], dtype=np.int64)


def _history(counts_N: NDArray[np.int64]) -> pd.DataFrame:
    """A log with so many events of each item, each of a user of its own."""
    items = np.repeat(np.arange(len(counts_N)), counts_N)
    return pd.DataFrame({"user_id": np.arange(len(items)), "item_id": items})


def _for_all(found: pd.Series, given: Delivered) -> Values:
    """NaN for the users that the library leaves out."""
    return found.reindex(range(len(given.lists))).to_numpy(dtype=np.float64)


def _by_table(kind: Callable[[int], Any]) -> Library:
    def values(given: Delivered) -> Values:
        truth = _table(given.targets)[["user_id", "item_id"]]
        return _for_all(kind(given.k).calc_per_user(_table(given.lists), truth), given)

    return values


def _rectools_cosine(given: Delivered) -> Values:
    from rectools.metrics import IntraListDiversity, PairwiseDistanceCalculator

    class Cosine(PairwiseDistanceCalculator):  # type: ignore[misc]
        """1 - cos of the items' vectors."""

        def _get_distances_for_item_pairs(self, items_0: Any, items_1: Any) -> Values:  # noqa: ANN401
            one, other = (given.shop.vectors_ND[np.asarray(items, dtype=int)] for items in (items_0, items_1))
            distances: Values = 1 - (one * other).sum(-1)
            return distances

    return _for_all(IntraListDiversity(given.k, Cosine()).calc_per_user(_table(given.lists)), given)


def _rectools_hamming(given: Delivered) -> Values:
    from rectools.metrics import IntraListDiversity, PairwiseHammingDistanceCalculator

    distance = PairwiseHammingDistanceCalculator(pd.DataFrame(given.shop.categories_NC))
    return _for_all(IntraListDiversity(given.k, distance).calc_per_user(_table(given.lists)), given)


def _rectools_popularity(given: Delivered) -> Values:
    from rectools.metrics import AvgRecPopularity

    found = AvgRecPopularity(given.k).calc_per_user(_table(given.lists), _history(given.shop.counts_N))
    return _for_all(found, given)


def _rectools_novelty(given: Delivered) -> Values:
    """Of a log with one more event of each item, as divrec's popularity counts them."""
    from rectools.metrics import MeanInvUserFreq

    found = MeanInvUserFreq(given.k).calc_per_user(_table(given.lists), _history(given.shop.counts_N + 1))
    return _for_all(found, given)


def _rectools_serendipity(given: Delivered) -> Values:
    from rectools.metrics import Serendipity

    truth, counts = _table(given.targets)[["user_id", "item_id"]], given.shop.counts_N
    metric = Serendipity(given.k)
    return _for_all(metric.calc_per_user(_table(given.lists), truth, _history(counts), range(len(counts))), given)


def _rectools_coverage(given: Delivered) -> Values:
    from rectools.metrics import CatalogCoverage

    metric = CatalogCoverage(given.k, normalize=True)
    return np.asarray([metric.calc(_table(given.lists), range(len(given.shop.counts_N)))])
