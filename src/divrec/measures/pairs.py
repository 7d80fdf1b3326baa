"""Pairs of places in soft lists: what an average over pairs hides, and what an item adds to those above it.

Shapes: B rows, M candidates best first, J categories an item. `weights_BM` are memberships m, 1 for a delivered item.
"""

from __future__ import annotations

import torch
from torch import Tensor


def max_similarity(weights_BM: Tensor, similarity_BMM: Tensor, sharpness: float) -> Tensor:
    """Smooth maximum of pairwise similarity: log(sum_{i != j} m_i m_j exp(g S_ij) / sum_{i != j} m_i m_j) / g.

    Args:
        weights_BM: memberships.
        similarity_BMM: pairwise S in [0, 1].
        sharpness: g; towards 0 the mean over pairs, towards infinity the largest S.

    Returns:
        (B,), between the mean and the largest similarity; lower is more diverse. NaN for lists of fewer than two items.
    """
    raised_BMM = torch.exp(sharpness * (similarity_BMM - 1)) * _others(similarity_BMM)  # at most 1: no overflow
    raised_B = (weights_BM * (raised_BMM @ weights_BM.unsqueeze(-1)).squeeze(-1)).sum(-1)
    pairs_B = weights_BM.sum(-1).square() - weights_BM.square().sum(-1)
    return 1 + torch.log(raised_B / pairs_B) / sharpness


def nearest_similarity(weights_BM: Tensor, similarity_BMM: Tensor, sharpness: float, prefix: bool = False) -> Tensor:
    """Mean over the list's items of the smooth maximum r_i of their similarity to others, sum_i m_i r_i / sum_i m_i.

    r_i = log(sum_j m_j exp(g S_ij) / sum_j m_j) / g. Over all others it is the complement of a facility location; over
    the items above it is the redundancy that maximal marginal relevance subtracts (Carbonell & Goldstein 1998).

    Args:
        weights_BM: memberships.
        similarity_BMM: pairwise S in [0, 1].
        sharpness: g; towards 0 the mean over the others, towards infinity the nearest one.
        prefix: whether j runs over the items above i only, whose m_j are then constants: they do not feel it. The first
            item has none above it and is left out.

    Returns:
        (B,), in [0, 1]; lower is more diverse. NaN for lists of fewer than two items.
    """
    among_MM = _above(similarity_BMM) if prefix else _others(similarity_BMM)
    others_BM1 = (weights_BM.detach() if prefix else weights_BM).unsqueeze(-1)
    raised_BMM = torch.exp(sharpness * (similarity_BMM - 1)) * among_MM
    first = 1 if prefix else 0
    raised_BM = (raised_BMM @ others_BM1).squeeze(-1)[:, first:]
    mass_BM = (among_MM @ others_BM1).squeeze(-1)[:, first:]
    nearest_BM = 1 + torch.log(raised_BM / mass_BM) / sharpness
    return (weights_BM[:, first:] * nearest_BM).sum(-1) / weights_BM[:, first:].sum(-1)


def prefix_similarity(weights_BM: Tensor, similarity_BMM: Tensor) -> Tensor:
    """Mean pairwise similarity sum_{j above i} m_i m_j S_ij / sum_{j above i} m_i m_j, where only i feels it.

    The value is that of all pairs; the m_j of the items above are constants, so the gradient moves the lower item of a
    pair, as a re-ranker does.

    Returns:
        (B,), in the range of S; lower is more diverse. NaN for lists of fewer than two items.
    """
    above_MM = _above(similarity_BMM)
    constant_BM1 = weights_BM.detach().unsqueeze(-1)
    alike_BM = ((similarity_BMM * above_MM) @ constant_BM1).squeeze(-1)
    pairs_BM = (above_MM @ constant_BM1).squeeze(-1)
    return (weights_BM * alike_BM).sum(-1) / (weights_BM * pairs_BM).sum(-1)


def log_determinant(weights_BM: Tensor, similarity_BMM: Tensor) -> Tensor:
    """Volume log det(I + diag(sqrt m) S diag(sqrt m)) (Kulesza & Taskar 2012), I making it defined for any list.

    Returns:
        (B,), in [log(1 + k), k log 2] for k delivered items; higher is more diverse. 0 for an empty list.
    """
    # A root has no slope at 0; what lies below the floor is next to nothing and gets no gradient.
    root_BM = weights_BM.clamp(min=torch.finfo(weights_BM.dtype).eps ** 2).sqrt()
    kernel_BMM = root_BM.unsqueeze(-1) * similarity_BMM * root_BM.unsqueeze(-2)
    kernel_BMM = kernel_BMM + torch.eye(kernel_BMM.shape[-1], dtype=kernel_BMM.dtype, device=kernel_BMM.device)
    factor_BMM = torch.linalg.cholesky(kernel_BMM)
    return 2 * torch.log(factor_BMM.diagonal(dim1=-2, dim2=-1)).sum(-1)


def category_similarity(categories_BMJ: Tensor, category_weights_BMJ: Tensor) -> Tensor:
    """(A A')_ij of the listed items, (B, M, M): the chance that one category of i and one of j are the same."""
    alike_BMM = category_weights_BMJ.new_zeros(*categories_BMJ.shape[:2], categories_BMJ.shape[1])
    for left_BM, left_weight_BM in zip(categories_BMJ.unbind(-1), category_weights_BMJ.unbind(-1), strict=True):
        for right_BM, right_weight_BM in zip(categories_BMJ.unbind(-1), category_weights_BMJ.unbind(-1), strict=True):
            same_BMM = left_BM.unsqueeze(-1) == right_BM.unsqueeze(-2)
            alike_BMM += same_BMM * left_weight_BM.unsqueeze(-1) * right_weight_BM.unsqueeze(-2)
    return alike_BMM


def _others(similarity_BMM: Tensor) -> Tensor:
    size, kind, device = similarity_BMM.shape[-1], similarity_BMM.dtype, similarity_BMM.device
    return 1 - torch.eye(size, dtype=kind, device=device)


def _above(similarity_BMM: Tensor) -> Tensor:
    """1 where the column's item stands above the row's."""
    return torch.ones_like(similarity_BMM[0]).tril(-1)
