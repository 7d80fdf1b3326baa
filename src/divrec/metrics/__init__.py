"""Thin torchmetrics shells over `divrec.measures`, and the collection that the evaluation reads."""

from divrec.metrics.accuracy import AUC, MAP, MRR, NDCG, HitRate, PooledAUC, Precision, Recall
from divrec.metrics.catalogue import Coverage, EffectiveCoverage, ExposureGini
from divrec.metrics.collection import SlateMetrics
from divrec.metrics.groups import GroupMetrics, GroupValue
from divrec.metrics.history import (
    HistoryDivergence,
    HistoryOverlap,
    JensenShannonMiscalibration,
    Miscalibration,
    Unexpectedness,
)
from divrec.metrics.lists import (
    AverageDistance,
    AveragePopularity,
    CategoryAverageDistance,
    CategoryEntropy,
    CategoryMinimumDistance,
    DistinctCategories,
    LongTailShare,
    MinimumDistance,
    PopularityBias,
    SimpsonDiversity,
    Vendi,
)
from divrec.metrics.mean import UserMean
from divrec.metrics.relevance import AlphaNDCG, ExpectedDistance, Serendipity, SubtopicRecall, Truth

__all__ = [
    "AUC",
    "MAP",
    "MRR",
    "NDCG",
    "AlphaNDCG",
    "AverageDistance",
    "AveragePopularity",
    "CategoryAverageDistance",
    "CategoryEntropy",
    "CategoryMinimumDistance",
    "Coverage",
    "DistinctCategories",
    "EffectiveCoverage",
    "ExpectedDistance",
    "ExposureGini",
    "GroupMetrics",
    "GroupValue",
    "HistoryDivergence",
    "HistoryOverlap",
    "HitRate",
    "JensenShannonMiscalibration",
    "LongTailShare",
    "MinimumDistance",
    "Miscalibration",
    "PooledAUC",
    "PopularityBias",
    "Precision",
    "Recall",
    "Serendipity",
    "SimpsonDiversity",
    "SlateMetrics",
    "SubtopicRecall",
    "Truth",
    "Unexpectedness",
    "UserMean",
    "Vendi",
]
