"""How popular the shown items are (catalogue level: a pull to the long tail).

Shapes: B rows, N items, M candidates.
"""

from __future__ import annotations

from torch import Tensor

from divrec.batch import Batch, Catalogue, SoftSlate
from divrec.measures import popularity_weight
from divrec.objectives.diversity.regularizer import Regularizer


class Popularity(Regularizer):
    """Mean popularity of the slate's items, sum_i m_i (1 - I_i / I_max) / k, I the self-information of item i.

    0 = only items that nobody has touched in training, nearly 1 = only the most popular one. It asks nothing of other
    users' slates: it is a fixed price an item.

    Args:
        catalogue: the frozen catalogue.
        weight: multiplies this term.
    """

    popularity_N: Tensor

    def __init__(self, catalogue: Catalogue, weight: float = 1.0) -> None:
        super().__init__(catalogue, weight)
        self.register_buffer("popularity_N", popularity_weight(catalogue.counts_N).float(), persistent=False)

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Mean over the rows."""
        popularity_BM = self.popularity_N[slate.items_BM].to(slate.weights_BM.dtype)
        return (popularity_BM * slate.weights_BM).sum(-1).mean() / slate.k
