"""Thin torchmetrics shells over `divrec.measures`, and the collection that the evaluation reads."""

from divrec.metrics.accuracy import AUC, MRR, NDCG, Recall
from divrec.metrics.catalogue import Coverage, ExposureGini
from divrec.metrics.collection import SlateMetrics
from divrec.metrics.history import HistoryOverlap
from divrec.metrics.lists import AverageDistance, CategoryEntropy, MinimumDistance, PopularityBias, SimpsonDiversity
from divrec.metrics.mean import UserMean

__all__ = [
    "AUC",
    "MRR",
    "NDCG",
    "AverageDistance",
    "CategoryEntropy",
    "Coverage",
    "ExposureGini",
    "HistoryOverlap",
    "MinimumDistance",
    "PopularityBias",
    "Recall",
    "SimpsonDiversity",
    "SlateMetrics",
    "UserMean",
]
