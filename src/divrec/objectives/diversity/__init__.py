"""Diversity regularizers R: penalties near [0, 1], lower is more diverse, never clamped (DESIGN section 8).

Each class builds the inputs of a formula of `divrec.measures` from a soft slate and the frozen catalogue, and scales.
"""

from divrec.objectives.diversity.categories import Entropy, Simpson
from divrec.objectives.diversity.determinant import LogDeterminant
from divrec.objectives.diversity.divergence import BetaDivergence, Calibration
from divrec.objectives.diversity.exposure import Coverage, ExposureGini, ExposureMemory
from divrec.objectives.diversity.overlap import GiniOverlap
from divrec.objectives.diversity.popularity import Popularity
from divrec.objectives.diversity.regularizer import Regularizer
from divrec.objectives.diversity.similarities import IntraListSimilarity, MaxSimilarity, NearestSimilarity

__all__ = [
    "BetaDivergence",
    "Calibration",
    "Coverage",
    "Entropy",
    "ExposureGini",
    "ExposureMemory",
    "GiniOverlap",
    "IntraListSimilarity",
    "LogDeterminant",
    "MaxSimilarity",
    "NearestSimilarity",
    "Popularity",
    "Regularizer",
    "Simpson",
]
