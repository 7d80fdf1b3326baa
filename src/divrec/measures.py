"""THE formulas: pure functions on tensors, one value a row, exact and unscaled. Objectives and metrics both call them.

Shapes: B rows (users), N items, C categories, D dimension, K delivered items, T targets a user.
Undefined values (an empty list, no target) are NaN: the caller leaves them out of its mean and counts them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from divrec.similarity import distance, embed

# --- diversity of one list, and of a list against a reference -------------------------------------------------------


def overlap(slate_BN: Tensor, history_BN: Tensor) -> Tensor:
    """Sorensen-Dice overlap 2 sum(y_hat y) / sum(y_hat + y) of a slate and a history.

    This is the founding document's "Gini coefficient" R = 1 - [sum(y_hat + y) - 2 sum(y_hat y)] / sum(y_hat + y).
    Minimizing it moves the slate away from the history; the remark there that a small value means "consistent" has the
    sign the wrong way round, while its own objective (maximize G) agrees with this.

    Returns:
        (B,), in [0, 1] for entries in [0, 1]: 1 = the same set, 0 = nothing in common. NaN where both are empty.
    """
    return 2 * (slate_BN * history_BN).sum(-1) / (slate_BN + history_BN).sum(-1)


def simpson(share_BC: Tensor) -> Tensor:
    """Simpson's concentration sum_c q_c^2 (Simpson 1949): 1/C = evenly spread, 1 = all in one category."""
    return share_BC.square().sum(-1)


def entropy(share_BC: Tensor) -> Tensor:
    """Shannon entropy -sum_c q_c log q_c in nats: 0 = one category, log C = evenly spread."""
    return torch.special.entr(share_BC).sum(-1)


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
    """Mean pairwise distance 1 - cos of a list (ILAD), in [0, 2]; higher is more diverse."""
    return 2 * (1 - intra_list_similarity(slate_BN, items_ND))


def minimum_distance(vectors_BKD: Tensor, valid_BK: Tensor) -> Tensor:
    """Smallest pairwise distance 1 - cos of a list (ILMD): shows near-duplicates that an average hides.

    Returns:
        (B,), in [0, 2]; higher is more diverse. NaN for lists of fewer than two items.
    """
    size = valid_BK.shape[-1]
    pairs = valid_BK.unsqueeze(-1) & valid_BK.unsqueeze(-2) & ~torch.eye(size, dtype=torch.bool, device=valid_BK.device)
    distances = distance(vectors_BKD, vectors_BKD).masked_fill(~pairs, torch.inf).flatten(-2)
    smallest = distances.min(-1).values
    return torch.where(torch.isinf(smallest), torch.nan, smallest)


# --- the catalogue as a whole ---------------------------------------------------------------------------------------


def gini_index(exposure_N: Tensor) -> Tensor:
    """Gini index of exposure sum_i (2 i - N - 1) e_(i) / (N sum e), e ascending.

    Returns:
        scalar in [0, 1 - 1/N]: 0 = every item shown equally often, near 1 = one item gets all. NaN if nothing is shown.
    """
    size = exposure_N.shape[-1]
    ranks = torch.arange(1, size + 1, device=exposure_N.device, dtype=exposure_N.dtype)
    ascending = exposure_N.sort(-1).values
    return ((2 * ranks - size - 1) * ascending).sum(-1) / (size * exposure_N.sum(-1))


def coverage(exposure_N: Tensor) -> Tensor:
    """Share of the catalogue that is in anybody's list, in [0, 1]; an item shown once counts in full."""
    return (exposure_N > 0).double().mean(-1)


def popularity_weight(counts_N: Tensor) -> Tensor:
    """Popularity of each item in [0, 1): 1 - I_i / I_max with I = -log2((n_i + 1) / (n + N)); 0 = never touched."""
    counts = counts_N.double()
    information = -torch.log2((counts + 1) / (counts.sum() + counts.shape[-1]))
    return 1 - information / -torch.log2(1 / (counts.sum() + counts.shape[-1]))


# --- accuracy: targets against all ranked items, score ties in expectation ------------------------------------------
# A target with `above` items strictly higher and `ties` items of its score (itself among them) stands at each of the
# ranks above + 1 ... above + ties with equal probability, so a constant scorer gets what chance gets.


def recall(above_BT: Tensor, ties_BT: Tensor, k: int) -> Tensor:
    """Expected hits in the top k over the number of relevant items; NaN without a target. Range [0, 1]."""
    relevant = (ties_BT > 0).sum(-1)
    return _hit_chance(above_BT, ties_BT, k).sum(-1) / relevant


def ndcg(above_BT: Tensor, ties_BT: Tensor, k: int) -> Tensor:
    """Expected DCG with gain 1 / log2(rank + 1) over the ideal of min(k, relevant) hits; NaN without a target."""
    ranks = torch.arange(1, k + 1, device=above_BT.device, dtype=torch.float64)
    cumulated = torch.cat([ranks.new_zeros(1), (1 / torch.log2(ranks + 1)).cumsum(0)])
    gain = cumulated[(above_BT + ties_BT).clamp(max=k)] - cumulated[above_BT.clamp(max=k)]
    valid = ties_BT > 0
    ideal = cumulated[valid.sum(-1).clamp(max=k)]
    return (gain / ties_BT.clamp(min=1)).masked_fill(~valid, 0).sum(-1) / ideal.masked_fill(ideal == 0, torch.nan)


def mrr(above_BT: Tensor, ties_BT: Tensor, k: int) -> Tensor:
    """Expected reciprocal rank of the first hit, 0 beyond rank k; NaN without a target. Range [0, 1].

    With n relevant among t tied items the first stands j-th among them with probability C(t - j, n - 1) / C(t, n).
    """
    valid = ties_BT > 0
    best = above_BT.masked_fill(~valid, torch.iinfo(above_BT.dtype).max).min(-1, keepdim=True).values
    in_best = valid & (above_BT == best)
    relevant = in_best.sum(-1).double()
    tied = torch.where(in_best, ties_BT, 0).max(-1).values.double()
    chance = relevant / tied
    value = torch.zeros_like(chance)
    for step in range(k):
        rank = best.squeeze(-1).double() + step + 1
        value += torch.where(rank <= k, chance / rank, 0.0)
        chance = chance * ((tied - step - relevant) / (tied - step - 1)).nan_to_num(0, 0, 0).clamp(min=0)
    return torch.where(valid.any(-1), value, torch.nan)


def auc(above_BT: Tensor, ties_BT: Tensor, candidates_B: Tensor) -> Tensor:
    """Area under the ROC curve of each user, ties counted half (Mann-Whitney); NaN without a target or a non-target."""
    valid = ties_BT > 0
    relevant = valid.sum(-1).double()
    from_below = candidates_B.unsqueeze(-1) - above_BT - (ties_BT - 1) / 2
    wins = from_below.masked_fill(~valid, 0).sum(-1) - relevant * (relevant + 1) / 2
    return wins / (relevant * (candidates_B - relevant)).masked_fill(relevant >= candidates_B, torch.nan)


def _hit_chance(above_BT: Tensor, ties_BT: Tensor, k: int) -> Tensor:
    chance = ((k - above_BT) / ties_BT.clamp(min=1)).clamp(0, 1)
    return chance.double().masked_fill(ties_BT == 0, 0)


# --- shares of categories -------------------------------------------------------------------------------------------


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
