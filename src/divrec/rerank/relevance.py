"""The scores of a pool, brought to a scale on which diversity can be weighed against them.

Shapes: B users, M candidates.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Relevance = Literal["zscore", "probability"]


def standardized(values_BM: Tensor, valid_BM: Tensor) -> Tensor:
    """Values less their row's mean, in (population) standard deviations, over the valid places; 0 elsewhere.

    A row whose values are all equal is 0 throughout.
    """
    count_B1 = valid_BM.sum(-1, keepdim=True).clamp(min=1)
    centered_BM = values_BM.masked_fill(~valid_BM, 0)
    centered_BM = centered_BM.sub_(centered_BM.sum(-1, keepdim=True) / count_B1).masked_fill_(~valid_BM, 0)
    deviation_B1 = (centered_BM.square().sum(-1, keepdim=True) / count_B1).sqrt_()
    return centered_BM.div_(deviation_B1.masked_fill_(deviation_B1 == 0, 1))


def relevance_of(scores_BM: Tensor, kind: Relevance) -> Tensor:
    """Relevance of the candidates with a finite score, in at least single precision; 0 for the others.

    Args:
        scores_BM: the model's scores; -inf is legal.
        kind: "zscore" = `standardized`, independent of the scores' scale; "probability" = softmax over the pool.
    """
    scores_BM = scores_BM if scores_BM.dtype == torch.float64 else scores_BM.float()
    if kind == "probability":
        return scores_BM.softmax(-1).nan_to_num_(0)
    return standardized(scores_BM, scores_BM > -torch.inf)
