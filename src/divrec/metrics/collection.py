"""All metrics of a set of delivered lists, under the names that records carry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from divrec.batch import Catalogue, Ranking, Slate
from divrec.errors import ConfigError
from divrec.metrics import accuracy, history, lists, relevance
from divrec.metrics import catalogue as shown
from divrec.metrics.mean import UserMean
from divrec.metrics.relevance import Truth
from divrec.ranking import delivered_ranks

_ACCURACY: dict[str, Callable[[int], Metric]] = {
    "recall": accuracy.Recall,
    "precision": accuracy.Precision,
    "hit_rate": accuracy.HitRate,
    "ndcg": accuracy.NDCG,
    "mrr": accuracy.MRR,
    "map": accuracy.MAP,
}
_LISTS: dict[str, Callable[[int], Metric]] = {
    "entropy": lists.CategoryEntropy,
    "simpson": lists.SimpsonDiversity,
    "categories": lists.DistinctCategories,
    "ilad": lists.AverageDistance,
    "ilmd": lists.MinimumDistance,
    "ilad_category": lists.CategoryAverageDistance,
    "ilmd_category": lists.CategoryMinimumDistance,
    "vendi": lists.Vendi,
    "popularity": lists.PopularityBias,
    "average_popularity": lists.AveragePopularity,
    "long_tail": lists.LongTailShare,
}
_HISTORY: dict[str, Callable[[int], Metric]] = {
    "overlap": history.HistoryOverlap,
    "beta_divergence": history.HistoryDivergence,
    "calibration_kl": history.Miscalibration,
    "calibration_js": history.JensenShannonMiscalibration,
    "unexpectedness": history.Unexpectedness,
}
_RELEVANCE: dict[str, Callable[[int], Metric]] = {
    "alpha_ndcg": relevance.AlphaNDCG,
    "subtopic_recall": relevance.SubtopicRecall,
    "eild": relevance.ExpectedDistance,
    "serendipity": relevance.Serendipity,
}
_CATALOGUE: dict[str, Callable[[int, int], Metric]] = {
    "coverage": shown.Coverage,
    "gini": shown.ExposureGini,
    "effective_coverage": shown.EffectiveCoverage,
}


class SlateMetrics(nn.Module):
    """Accuracy and diversity of delivered lists, per user and over all users.

    Accuracy counts the list as delivered (`divrec.ranking.delivered_ranks`), AUC the model's whole ranking. Names are
    "ndcg@10", "coverage@10", ..., and "auc", "auc_pooled".

    Args:
        catalogue: what diversity is measured with; it moves with the module.
        k: length of the lists, or several.

    Raises:
        ConfigError: no k is given, or one is below 1.
    """

    vectors_ND: Tensor
    categories_NJ: Tensor
    category_weights_NJ: Tensor
    counts_N: Tensor

    def __init__(self, catalogue: Catalogue, k: int | Sequence[int] = 10) -> None:
        super().__init__()
        self.sizes = (k,) if isinstance(k, int) else tuple(k)
        if not self.sizes or min(self.sizes) < 1:
            raise ConfigError("a list has at least one item", where="metrics.k", got=k)
        self.category_count = catalogue.category_count
        for name in ("vectors_ND", "categories_NJ", "category_weights_NJ", "counts_N"):
            self.register_buffer(name, getattr(catalogue, name), persistent=False)
        self.accuracy = self._each(_ACCURACY)
        self.auc = accuracy.AUC()
        self.auc_pooled = accuracy.PooledAUC()
        self.lists = self._each(_LISTS)
        self.history = self._each(_HISTORY)
        self.relevance = self._each(_RELEVANCE)
        self.shown = nn.ModuleDict(
            {f"{name}@{at}": kind(catalogue.size, at) for at in self.sizes for name, kind in _CATALOGUE.items()}
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the metrics with a value a user, in the order in which `update` gives them."""
        return tuple(name for name, _ in self._means())

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue on the module's device."""
        return Catalogue(
            self.vectors_ND, self.categories_NJ, self.category_weights_NJ, self.category_count, self.counts_N
        )

    @property
    def all_names(self) -> list[str]:
        """Names of all values that `compute` gives, set-level ones among them."""
        return [*(name for name, _ in self._means()), *self.shown]

    @torch.no_grad()
    def update(self, ranking: Ranking, slate: Slate, seen_BS: Tensor, history_BS: Tensor) -> dict[str, Tensor]:
        """Add a batch of users.

        Args:
            ranking: the model's ranking.
            slate: the delivered lists, at least as long as the greatest k.
            seen_BS: items of each user's history, padded with N.
            history_BS: their weights in [0, 1]; 0 is padding.

        Returns:
            name -> values (B,), float64; NaN where a user has none. Set-level metrics have no values a user.

        Raises:
            ConfigError: the lists are shorter than the greatest k.
        """
        length = slate.items_BK.shape[1]
        if length < max(self.sizes):
            raise ConfigError(f"the delivered lists hold {length} items", where="metrics.k", got=max(self.sizes))
        catalogue, delivered = self.catalogue, delivered_ranks(slate, ranking)
        truth = Truth(ranking.targets_BT, seen_BS, history_BS)
        for _, metric in _members(self.accuracy):
            metric.update(delivered)
        self.auc.update(ranking)
        self.auc_pooled.update(ranking)
        for _, metric in _members(self.lists):
            metric.update(slate, catalogue)
        for _, metric in _members(self.history):
            metric.update(slate, catalogue, seen_BS, history_BS)
        for _, metric in _members(self.relevance):
            metric.update(slate, catalogue, truth)
        for _, metric in _members(self.shown):
            metric.update(slate)
        return {name: metric.values_B for name, metric in self._means()}

    def compute(self) -> dict[str, float]:
        """Name -> value over all users so far, all processes together; NaN where nobody has one."""
        return {name: float(metric.compute()) for name, metric in (*self._means(), *self._set_level())}

    def undefined(self) -> dict[str, int]:
        """Name -> number of users without a value, for those metrics that have any. Of this process alone."""
        return {name: count for name, metric in self._means() if (count := int(metric.undefined))}

    def empty_histories(self) -> int:
        """Number of users whose empty history counted as the uniform reference. Of this process alone."""
        first = next(iter(self.history.values()))
        return int(cast("history.HistoryOverlap", first).empty_histories)

    def reset(self) -> None:
        """Forget all users."""
        for _, metric in (*self._means(), *self._set_level()):
            metric.reset()

    def _each(self, kinds: dict[str, Callable[[int], Metric]]) -> nn.ModuleDict:
        return nn.ModuleDict({f"{name}@{at}": kind(at) for at in self.sizes for name, kind in kinds.items()})

    def _means(self) -> Iterator[tuple[str, UserMean]]:
        means: list[tuple[str, Metric]] = [*_members(self.accuracy), ("auc", self.auc)]
        for group in (self.lists, self.history, self.relevance):
            means += _members(group)
        return iter(cast("list[tuple[str, UserMean]]", means))

    def _set_level(self) -> Iterator[tuple[str, Metric]]:
        return iter([("auc_pooled", cast("Metric", self.auc_pooled)), *_members(self.shown)])


def _members(group: nn.ModuleDict) -> Iterable[tuple[str, Metric]]:
    return cast("Iterable[tuple[str, Metric]]", group.items())
