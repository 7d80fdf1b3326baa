"""Diversity inside one list.

Shapes: B rows (users), N items, C categories, D dimension, K delivered items, J categories an item.
"""

from __future__ import annotations

import torch
from torch import Tensor

from divrec.similarity import distance, embed, similarity


def simpson(share_BC: Tensor) -> Tensor:
    """Simpson's concentration sum_c q_c^2 (Simpson 1949): 1/C = evenly spread, 1 = all in one category."""
    return share_BC.square().sum(-1)


def entropy(share_BC: Tensor) -> Tensor:
    """Shannon entropy -sum_c q_c log q_c in nats: 0 = one category, log C = evenly spread."""
    # The floor keeps the gradient of an absent category finite: minus infinity there spoils the whole row.
    return -(share_BC * share_BC.clamp(min=torch.finfo(share_BC.dtype).tiny).log()).sum(-1)


def intra_list_similarity(slate_BN: Tensor, items_ND: Tensor) -> Tensor:
    """Mean pairwise similarity of a (soft) list without self-pairs, in O(N D): never an N x N matrix.

    (|E'm|^2 - sum_i m_i^2 S_ii) / ((sum m)^2 - sum m_i^2), with S = E E' of `divrec.similarity`.

    Args:
        slate_BN: membership m, 0 or 1 for a delivered list.
        items_ND: unit vectors, shared (N, D) or per row (B, N, D).

    Returns:
        (B,), in [0, 1] for hard lists; 1 = all alike. NaN for lists of fewer than two items.
    """
    factors = embed(items_ND)
    mass = (slate_BN.unsqueeze(-2) @ factors).squeeze(-2).square().sum(-1)
    squared = slate_BN.square()
    own = (squared.unsqueeze(-2) @ factors.square().sum(-1, keepdim=True)).squeeze(-1).squeeze(-1)
    return (mass - own) / (slate_BN.sum(-1).square() - squared.sum(-1))


def average_distance(slate_BN: Tensor, items_ND: Tensor) -> Tensor:
    """Mean pairwise distance 1 - cos of a list (ILAD; Smyth & McClave 2001), in [0, 2]; higher is more diverse.

    NaN for lists of fewer than two items.
    """
    return 2 * (1 - intra_list_similarity(slate_BN, items_ND))


def minimum_distance(vectors_BKD: Tensor, valid_BK: Tensor) -> Tensor:
    """Smallest pairwise distance 1 - cos of a list (ILMD; Chen, Zhang & Zhou 2018): what an average hides.

    It shows near-duplicates. Rounding of narrow numbers does not make it negative.

    Returns:
        (B,), in [0, 2]; 0 = a duplicate, higher is more diverse. NaN for lists of fewer than two items.
    """
    size = valid_BK.shape[-1]
    pairs = valid_BK.unsqueeze(-1) & valid_BK.unsqueeze(-2) & ~torch.eye(size, dtype=torch.bool, device=valid_BK.device)
    distances = distance(vectors_BKD, vectors_BKD).masked_fill(~pairs, torch.inf).flatten(-2)
    smallest = distances.min(-1).values.clamp(min=0)
    return torch.where(torch.isinf(smallest), torch.nan, smallest)


def distinct_categories(share_BC: Tensor) -> Tensor:
    """Number of categories that a list touches (category coverage of Zheng et al. 2021); higher is more diverse.

    An item in two categories touches both.

    Returns:
        (B,) float64, in [1, min(C, k J)]; NaN where the share is (a list without items, or without any in a category).
    """
    count = (share_BC > 0).sum(-1).double()
    return torch.where(share_BC.isnan().any(-1), torch.nan, count)


def vendi_score(vectors_BKD: Tensor, valid_BK: Tensor) -> Tensor:
    """Vendi score exp(H(eigenvalues of S / n)) (Friedman & Dieng 2023): the effective number of unlike items.

    S is the similarity of `divrec.similarity`, so two items at a right angle count as 1.75 items, not as two.

    Returns:
        (B,) float64, in [1, n] for lists of n items; higher is more diverse. NaN for an empty list.
    """
    pairs_BKK = valid_BK.unsqueeze(-1) & valid_BK.unsqueeze(-2)
    kernel_BKK = similarity(vectors_BKD.double(), vectors_BKD.double()).masked_fill(~pairs_BKK, 0)
    size_B = valid_BK.sum(-1)
    values_BK = torch.linalg.eigvalsh(kernel_BKK / size_B.clamp(min=1)[:, None, None]).clamp(min=0)
    return torch.special.entr(values_BK).sum(-1).exp().masked_fill(size_B == 0, torch.nan)


def category_distances(categories_BKJ: Tensor, category_weights_BKJ: Tensor) -> Tensor:
    """Pairwise distance 1 - cos of the items' rows of A, (B, K, K), in [0, 1]; 1 = no category in common.

    Args:
        categories_BKJ: category indices of the listed items, distinct where the weight is not 0.
        category_weights_BKJ: their weights; an item without any is at distance 1 from all others.
    """
    weights_BKJ = category_weights_BKJ.double()
    length_BK1 = weights_BKJ.square().sum(-1, keepdim=True).sqrt()
    unit_BKJ = weights_BKJ / length_BK1.masked_fill(length_BK1 == 0, 1)
    same_BKKJJ = categories_BKJ[:, :, None, :, None] == categories_BKJ[:, None, :, None, :]
    return 1 - torch.einsum("bki,blj,bklij->bkl", unit_BKJ, unit_BKJ, same_BKKJJ.double())


def distance_summary(distances_BKK: Tensor, valid_BK: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and smallest of the pairwise distances of a list, self-pairs left out.

    Returns:
        (B,) each; NaN for lists of fewer than two items.
    """
    upper_KK = torch.ones(distances_BKK.shape[-2:], dtype=torch.bool, device=valid_BK.device).triu(1)
    pairs_BKK = valid_BK.unsqueeze(-1) & valid_BK.unsqueeze(-2) & upper_KK
    count_B = pairs_BKK.sum((-1, -2))
    mean_B = distances_BKK.masked_fill(~pairs_BKK, 0).sum((-1, -2)) / count_B
    smallest_B = distances_BKK.masked_fill(~pairs_BKK, torch.inf).flatten(1).amin(-1).clamp(min=0)
    return mean_B, smallest_B.masked_fill(count_B == 0, torch.nan)
