"""(ModelOutput, Batch) -> {task, diversity/NAME, total}: the loss L + beta * R. Owns no model."""

from divrec.objectives.diversity import BetaDivergence, ExposureGini, GiniOverlap, Regularizer, Simpson
from divrec.objectives.relaxation import Midpoint, Softmax, SoftTopK
from divrec.objectives.task import BinaryCrossEntropy, CrossEntropy, MeanSquaredError
from divrec.objectives.tradeoff import TASK, TOTAL, TradeoffObjective, check_dials

__all__ = [
    "TASK",
    "TOTAL",
    "BetaDivergence",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "ExposureGini",
    "GiniOverlap",
    "MeanSquaredError",
    "Midpoint",
    "Regularizer",
    "Simpson",
    "SoftTopK",
    "Softmax",
    "TradeoffObjective",
    "check_dials",
]
