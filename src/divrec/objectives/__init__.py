"""(ModelOutput, Batch) -> {task, diversity/NAME, total}: the loss L + beta * R. Owns no model."""

from divrec.objectives.diversity import (
    BetaDivergence,
    Calibration,
    Coverage,
    Entropy,
    ExposureGini,
    ExposureMemory,
    GiniOverlap,
    IntraListSimilarity,
    LogDeterminant,
    MaxSimilarity,
    NearestSimilarity,
    Popularity,
    Regularizer,
    Simpson,
)
from divrec.objectives.factored_scores import FactoredScores
from divrec.objectives.relaxation import Midpoint, Softmax, SoftTopK
from divrec.objectives.task import (
    BayesianPersonalizedRanking,
    BinaryCrossEntropy,
    CrossEntropy,
    MeanSquaredError,
    SampledCrossEntropy,
    TaskLoss,
)
from divrec.objectives.tradeoff import TASK, TOTAL, TradeoffObjective, check_dials

__all__ = [
    "TASK",
    "TOTAL",
    "BayesianPersonalizedRanking",
    "BetaDivergence",
    "BinaryCrossEntropy",
    "Calibration",
    "Coverage",
    "CrossEntropy",
    "Entropy",
    "ExposureGini",
    "ExposureMemory",
    "FactoredScores",
    "GiniOverlap",
    "IntraListSimilarity",
    "LogDeterminant",
    "MaxSimilarity",
    "MeanSquaredError",
    "Midpoint",
    "NearestSimilarity",
    "Popularity",
    "Regularizer",
    "SampledCrossEntropy",
    "Simpson",
    "SoftTopK",
    "Softmax",
    "TaskLoss",
    "TradeoffObjective",
    "check_dials",
]
