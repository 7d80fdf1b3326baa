"""Volume that the slate's items span (list level).

Shapes: B rows, N items, M candidates, D dimension.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from divrec.batch import Batch, Catalogue, SoftSlate
from divrec.errors import check_number
from divrec.measures import log_determinant
from divrec.objectives.diversity.regularizer import Regularizer
from divrec.similarity import similarity


class LogDeterminant(Regularizer):
    """Volume missing of a determinantal point process (list level).

    [sum_i log(1 + m_i) - log det(I + diag(m) S)] / (k log 2): what the items lose to having something in common. Of a
    delivered list it is 1 - log det(I + S) / (k log 2), and it does not fall where m merely softens, as that would.

    0 = nothing in common at all; for ten items .20 = texts at right angles (S = 1/2), .65 = ten copies of one.

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
        similarity_BMM = similarity(vectors_BMD, vectors_BMD)
        apart_B = torch.log1p(weights_BM * similarity_BMM.diagonal(dim1=-2, dim2=-1)).sum(-1)
        lost_B = apart_B - log_determinant(weights_BM, similarity_BMM)
        return (lost_B / (slate.k * math.log(2))).mean()
