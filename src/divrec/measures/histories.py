"""A list against what the user did before.

Shapes: B rows (users), N items, C categories, D dimension, K delivered items.
"""

from __future__ import annotations

import torch
from torch import Tensor


def overlap(slate_BN: Tensor, history_BN: Tensor) -> Tensor:
    """Sorensen-Dice overlap 2 sum(y_hat y) / sum(y_hat + y) of a slate and a history.

    This is the founding document's "Gini coefficient" R = 1 - [sum(y_hat + y) - 2 sum(y_hat y)] / sum(y_hat + y).
    Minimizing it moves the slate away from the history; the remark there that a small value means "consistent" has the
    sign the wrong way round, while its own objective (maximize G) agrees with this.

    Returns:
        (B,), in [0, 1] for entries in [0, 1]: 1 = the same set, 0 = nothing in common. NaN where both are empty.
    """
    return 2 * (slate_BN * history_BN).sum(-1) / (slate_BN + history_BN).sum(-1)


def beta_divergence(p_BC: Tensor, q_BC: Tensor, order: float) -> Tensor:
    """Beta-divergence of p from q (Basu et al. 1998; Cichocki & Amari 2010), summed over categories.

    Args:
        p_BC: shares that are measured.
        q_BC: shares that are the reference.
        order: 2 = half the squared Euclidean distance, 1 = generalized Kullback-Leibler, 0 = Itakura-Saito. It is not
            the trade-off weight beta of the loss.

    Returns:
        (B,), at least 0; 0 only for p = q. A term with p = q = 0 counts 0; infinite where the order demands it.
    """
    return beta_divergence_terms(p_BC, q_BC, order).sum(-1)


def beta_divergence_terms(p_BC: Tensor, q_BC: Tensor, order: float) -> Tensor:
    """The terms of `beta_divergence`, one a category."""
    if order == 1:
        terms = torch.xlogy(p_BC, p_BC) - torch.xlogy(p_BC, q_BC) - p_BC + q_BC
    elif order == 0:
        terms = p_BC / q_BC - torch.log(p_BC / q_BC) - 1
    else:
        cross = p_BC * q_BC ** (order - 1)
        terms = (p_BC**order + (order - 1) * q_BC**order - order * cross) / (order * (order - 1))
    return torch.where((p_BC == 0) & (q_BC == 0), 0.0, terms)


def calibration_kl(history_BC: Tensor, share_BC: Tensor, mix: float = 0.01) -> Tensor:
    """Miscalibration KL(q^h, (1 - mix) q + mix q^h) of a list's category shares q (Steck 2018, its alpha is `mix`).

    Returns:
        (B,), in [0, -log mix]; 0 = the list has the history's proportions, higher = it neglects what the user likes.
    """
    mixed_BC = (1 - mix) * share_BC + mix * history_BC
    mixed_BC = mixed_BC.clamp(min=torch.finfo(mixed_BC.dtype).tiny)  # a category that both lack: 0 / 0 in the gradient
    return (torch.xlogy(history_BC, history_BC) - torch.xlogy(history_BC, mixed_BC)).sum(-1)


def jensen_shannon(p_BC: Tensor, q_BC: Tensor) -> Tensor:
    """Jensen-Shannon divergence H((p + q) / 2) - (H(p) + H(q)) / 2 in nats (Lin 1991): symmetric, always finite.

    Returns:
        (B,), in [0, log 2]; 0 = equal, log 2 = nothing in common.
    """
    middle, p, q = (torch.special.entr(share).sum(-1) for share in ((p_BC + q_BC) / 2, p_BC, q_BC))
    return middle - (p + q) / 2


def unexpectedness(vectors_BKD: Tensor, valid_BK: Tensor, profile_BD: Tensor) -> Tensor:
    """Mean distance 1 - cos between the list's items and the history's (Kaminskas & Bridge 2016).

    Args:
        vectors_BKD: unit vectors of the listed items.
        valid_BK: False at padding.
        profile_BD: weighted mean of the history's unit vectors; NaN for an empty history.

    Returns:
        (B,), in [0, 2]; higher = farther from what the user knows. NaN for an empty list or history.
    """
    distances_BK = profile_distance(vectors_BKD, profile_BD).masked_fill(~valid_BK, 0)
    return distances_BK.sum(-1) / valid_BK.sum(-1)


def profile_distance(vectors_BKD: Tensor, profile_BD: Tensor) -> Tensor:
    """Mean distance (B, K) of each listed item to the history's items: 1 - e_i times the mean of their vectors."""
    return 1 - (vectors_BKD @ profile_BD.unsqueeze(-1)).squeeze(-1)
