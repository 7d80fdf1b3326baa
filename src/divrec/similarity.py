"""THE similarity between items: regularizers, metrics and re-rankers all ask here (DESIGN section 6).

S = (1 + cos) / 2 lies in [0, 1] and is positive semi-definite; distance = 2 (1 - S) = 1 - cos lies in [0, 2].
Shapes: M items, D dimension; leading dimensions are batches.
"""

import math

import torch
from torch import Tensor

_HALF_ROOT = 1 / math.sqrt(2)


def embed(vectors_MD: Tensor) -> Tensor:
    """The factor E = [e, 1] / sqrt(2) of S = E E' (one column wider than the unit vectors it is given)."""
    return torch.cat([vectors_MD, torch.ones_like(vectors_MD[..., :1])], dim=-1) * _HALF_ROOT


def similarity(left_MD: Tensor, right_MD: Tensor) -> Tensor:
    """Pairwise S in [0, 1] of two sets of unit vectors, shape (..., M_left, M_right)."""
    return (1 + left_MD @ right_MD.transpose(-1, -2)) / 2


def distance(left_MD: Tensor, right_MD: Tensor) -> Tensor:
    """Pairwise distance 2 (1 - S) = 1 - cos in [0, 2] of two sets of unit vectors."""
    return 2 * (1 - similarity(left_MD, right_MD))
