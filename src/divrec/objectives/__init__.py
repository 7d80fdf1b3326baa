"""(ModelOutput, Batch) -> {task, diversity/NAME, total}: the loss L + beta * R. Owns no model."""

from divrec.objectives.diversity import BetaDivergence, ExposureGini, GiniOverlap, Regularizer, Simpson
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
    "CrossEntropy",
    "ExposureGini",
    "GiniOverlap",
    "MeanSquaredError",
    "Midpoint",
    "Regularizer",
    "SampledCrossEntropy",
    "Simpson",
    "SoftTopK",
    "Softmax",
    "TaskLoss",
    "TradeoffObjective",
    "check_dials",
]
