"""From a ranking to the delivered list: one file a strategy, batched over users."""

from divrec.rerank.mmr import MaximalMarginalRelevance
from divrec.rerank.protocol import Reranker

__all__ = ["MaximalMarginalRelevance", "Reranker"]
