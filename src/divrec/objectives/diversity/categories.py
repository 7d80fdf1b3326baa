"""Concentration of a slate over categories (list level).

Shapes: B rows, M candidates, J categories an item, C categories.
"""

from __future__ import annotations

import math

from torch import Tensor

from divrec.batch import Batch, Catalogue, SoftSlate
from divrec.measures import category_similarity, entropy_of_places, prefix_similarity
from divrec.objectives.diversity.regularizer import Regularizer, mean_of_rows, rows_with_pairs


class Simpson(Regularizer):
    """Simpson's concentration of the slate over categories, without self-pairs (list level).

    sum_{i != j} m_i m_j (A A')_ij / sum_{i != j} m_i m_j: the chance that two different places show one category; 0 =
    no two places do, 1 = all do. Self-pairs are left out because with them the penalty falls when m merely softens.

    Args:
        catalogue: the frozen catalogue.
        weight: multiplies this term.
        prefix: true lets only the lower item of a pair feel it, as a re-ranker would; false lets both.
    """

    def __init__(self, catalogue: Catalogue, weight: float = 1.0, prefix: bool = False) -> None:
        super().__init__(catalogue, weight)
        self.prefix = prefix

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Mean over the rows."""
        slate = rows_with_pairs(slate)
        weights_BMJ = self.category_weights_NJ[slate.items_BM].to(slate.weights_BM.dtype)
        if self.prefix:
            same_BMM = category_similarity(self.categories_NJ[slate.items_BM], weights_BMJ)
            return mean_of_rows(prefix_similarity(slate.weights_BM, same_BMM))
        total_B, squared_BM = slate.weights_BM.sum(-1), slate.weights_BM.square()
        together_B = (self.slate_share(slate) * total_B.unsqueeze(-1)).square().sum(-1)
        own_B = (squared_BM * weights_BMJ.square().sum(-1)).sum(-1)
        return mean_of_rows((together_B - own_B) / (total_B.square() - squared_BM.sum(-1)))


class Entropy(Regularizer):
    """Evenness of the slate over categories that is missing: 1 - H / log min(k, C) (list level).

    0 = as even as k places and C categories allow, 1 = all in one category (with a single category: always). This loss
    falls while the metric `entropy@k` rises. H is that of `entropy_of_places`, which is H(q) for a delivered list and
    does not rise where m merely softens.
    """

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Mean over the rows."""
        most = math.log(max(min(slate.k, self.category_count), 2))
        items_BM = slate.items_BM
        entropy_B = entropy_of_places(
            slate.weights_BM, self.categories_NJ[items_BM], self.category_weights_NJ[items_BM], self.category_count
        )
        return (1 - entropy_B / most).mean()
