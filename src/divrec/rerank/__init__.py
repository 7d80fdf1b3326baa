"""From a ranking to the delivered list: one file a strategy, batched over users."""

from divrec.rerank.calibrated import Calibration
from divrec.rerank.dpp import DeterminantalPointProcess
from divrec.rerank.exposure import ExposureBalance, ExposureMMR
from divrec.rerank.mmr import MaximalMarginalRelevance
from divrec.rerank.msd import MaximalSumOfDistances
from divrec.rerank.pm2 import Proportionality
from divrec.rerank.popularity_discount import PopularityDiscount
from divrec.rerank.protocol import Audience, Reranker
from divrec.rerank.ssd import SlidingSpectrum
from divrec.rerank.temperature import Temperature
from divrec.rerank.xquad import AspectDiversification

__all__ = [
    "AspectDiversification",
    "Audience",
    "Calibration",
    "DeterminantalPointProcess",
    "ExposureBalance",
    "ExposureMMR",
    "MaximalMarginalRelevance",
    "MaximalSumOfDistances",
    "PopularityDiscount",
    "Proportionality",
    "Reranker",
    "SlidingSpectrum",
    "Temperature",
]
