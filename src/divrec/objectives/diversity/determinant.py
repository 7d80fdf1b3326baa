"""Volume that the slate's items span (list level).

Shapes: B rows, N items, M candidates, D dimension.
"""

from __future__ import annotations

import math

from torch import Tensor

from divrec.batch import Batch, Catalogue, SoftSlate
from divrec.errors import check_number
from divrec.measures import log_determinant
from divrec.objectives.diversity.regularizer import Regularizer
from divrec.similarity import similarity


class LogDeterminant(Regularizer):
    """Volume missing of a determinantal point process: 1 - log det(I + diag(m) S) / (k log 2) (list level).

    0 = items without anything in common, nearly 1 = all alike.

    Args:
        catalogue: the frozen catalogue.
        weight: multiplies this term.
        top: candidates that are looked at, the best of each row; those beyond have next to no membership.
    """

    vectors_ND: Tensor

    def __init__(self, catalogue: Catalogue, weight: float = 1.0, top: int = 50) -> None:
        super().__init__(catalogue, weight)
        check_number("diversity.dpp.top", top, least=2, whole=True)
        self.top = top
        self.register_buffer("vectors_ND", catalogue.vectors_ND, persistent=False)

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Mean over the rows."""
        weights_BM, places_BM = slate.weights_BM.topk(min(self.top, slate.weights_BM.shape[1]), dim=-1)
        items_BM = slate.items_BM.gather(1, places_BM)
        vectors_BMD = self.vectors_ND[items_BM].to(weights_BM.dtype)
        volume_B = log_determinant(weights_BM, similarity(vectors_BMD, vectors_BMD))
        return (1 - volume_B / (slate.k * math.log(2))).mean()
