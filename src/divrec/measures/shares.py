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
    mass = _category_mass(weights_BM, categories_BMJ, category_weights_BMJ, category_count)
    total = mass.sum(-1, keepdim=True)
    return torch.where(total > 0, mass / total.clamp(min=torch.finfo(mass.dtype).tiny), 1 / category_count)


def entropy_of_places(
    weights_BM: Tensor, categories_BMJ: Tensor, category_weights_BMJ: Tensor, category_count: int
) -> Tensor:
    """Entropy of the categories of soft lists, each item counted as fully there where its own category is looked up.

    -sum_i (m_i / k) sum_c A_ic log q_c(i) with q_c(i) = (sum_j m_j A_jc + (1 - m_i) A_ic) / k and k = sum(m). Of a
    delivered list it is the entropy of its shares. The entropy of soft shares is not: it rises when the same items are
    merely in the list by halves, for then more of them are.

    Args:
        weights_BM: membership m of each candidate, in [0, 1].
        categories_BMJ: category indices of the candidates.
        category_weights_BMJ: the items' rows of A, each summing to 1.
        category_count: C.

    Returns:
        (B,), in nats; log k where no two candidates share a category, whatever their memberships; 0 for an empty list.
    """
    belongs_BMJ = category_weights_BMJ.to(weights_BM.dtype)
    mass_BC = _category_mass(weights_BM, categories_BMJ, belongs_BMJ, category_count)
    together_BMJ = mass_BC.gather(1, categories_BMJ.flatten(1)).view_as(belongs_BMJ)
    seen_BMJ = together_BMJ + (1 - weights_BM).unsqueeze(-1) * belongs_BMJ
    total_B = weights_BM.sum(-1).clamp(min=1)  # one item alone is fully there: only an empty list has less
    share_BMJ = torch.where(belongs_BMJ > 0, seen_BMJ / total_B[:, None, None], 1)
    return -((weights_BM.unsqueeze(-1) * belongs_BMJ * share_BMJ.log()).sum((-2, -1)) / total_B)


def _category_mass(
    weights_BM: Tensor, categories_BMJ: Tensor, category_weights_BMJ: Tensor, category_count: int
) -> Tensor:
    """Product m A, (B, C)."""
    mass = weights_BM.new_zeros(weights_BM.shape[0], category_count)
    spread = (weights_BM.unsqueeze(-1) * category_weights_BMJ.to(weights_BM.dtype)).flatten(1)
    return mass.scatter_add(1, categories_BMJ.flatten(1), spread)
