"""Shares of categories in weighted lists.

Shapes: B rows (users), M listed items, J categories an item, C categories.
"""

from __future__ import annotations

import torch
from torch import Tensor


def category_share(
    weights_BM: Tensor, categories_BMJ: Tensor, category_weights_BMJ: Tensor, category_count: int
) -> Tensor:
    """Share q = m A / sum(m) of each category in weighted lists of items.

    Args:
        weights_BM: weight of each listed item; 0 leaves it out.
        categories_BMJ: category indices of the listed items.
        category_weights_BMJ: the items' rows of A, each summing to 1.
        category_count: C.

    Returns:
        (B, C), rows sum to 1; a row without any weight is uniform (an empty history counts as the uniform reference).
    """
    mass = weights_BM.new_zeros(weights_BM.shape[0], category_count)
    spread = (weights_BM.unsqueeze(-1) * category_weights_BMJ.to(weights_BM.dtype)).flatten(1)
    mass = mass.scatter_add(1, categories_BMJ.flatten(1), spread)
    total = mass.sum(-1, keepdim=True)
    return torch.where(total > 0, mass / total.clamp(min=torch.finfo(mass.dtype).tiny), 1 / category_count)
