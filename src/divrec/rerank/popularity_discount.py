"""A price on popularity: the simplest pull to the long tail (Abdollahpouri et al. 2019 call the family re-ranking).

Shapes: B users, M candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from divrec.rerank.greedy import top
from divrec.rerank.relevance import standardized
from divrec.rerank.strategy import Pool, PoolStrategy


class PopularityDiscount(PoolStrategy):
    """Order by (1 - diversity) * relevance - diversity * log(1 + training events), standardized over the pool.

    At 1 the least trained items of the pool lead.
    """

    name = "popularity_discount"

    def _choose(self, pool: Pool, k: int) -> Tensor:
        gain_BM = self._base(pool)
        counts_BM = torch.log1p(pool.catalogue.counts_N.to(gain_BM.dtype))[pool.looked_up()]
        return top(gain_BM.sub_(standardized(counts_BM, pool.scores_BM > -torch.inf), alpha=self.diversity), k)
