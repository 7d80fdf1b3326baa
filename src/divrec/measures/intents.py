"""Relevance-aware diversity: what of the categories that a user went for the list serves.

The user's intents are the categories of the targets, so an item of such a category counts as relevant, target or not:
with one or two targets a user, relevance of items alone would leave nothing to be diverse about.
Shapes: B users, C categories, K delivered items, J categories an item, D dimension, T targets a user.
"""

from __future__ import annotations

import torch
from torch import Tensor


def intent_relevance(categories_BKJ: Tensor, category_weights_BKJ: Tensor, intents_BC: Tensor) -> Tensor:
    """Share of each listed item that lies in the user's intents, (B, K), in [0, 1].

    Args:
        categories_BKJ: category indices of the listed items.
        category_weights_BKJ: the items' rows of A; all 0 at padding.
        intents_BC: True for the categories of the user's targets.
    """
    wanted_BKJ = intents_BC.gather(1, categories_BKJ.flatten(1)).view(categories_BKJ.shape)
    return (category_weights_BKJ.double() * wanted_BKJ).sum(-1)


def alpha_ndcg(categories_BKJ: Tensor, category_weights_BKJ: Tensor, intents_BC: Tensor, alpha: float = 0.5) -> Tensor:
    """alpha-nDCG (Clarke et al. 2008) on categories: novel intents first, repeats worth 1 - alpha of the last.

    The gain of the item at rank r is sum_c [c wanted] A_ic (1 - alpha)^(weight of c listed before), over log2(r + 1).
    The ideal has items of one category each, enough for every intent: no list of any catalogue beats it.

    Args:
        categories_BKJ: category indices of the listed items, best first.
        category_weights_BKJ: the items' rows of A; all 0 at padding.
        intents_BC: True for the categories of the user's targets.
        alpha: in [0, 1); 0 = repeats count in full.

    Returns:
        (B,), in [0, 1]; NaN without an intent.
    """
    listed_BC = torch.zeros(intents_BC.shape, dtype=torch.float64, device=intents_BC.device)
    gained_B, ideal_B = listed_BC.new_zeros(len(listed_BC)), listed_BC.new_zeros(len(listed_BC))
    count_B = intents_BC.sum(-1)
    for place in range(categories_BKJ.shape[1]):
        categories_BJ, weights_BJ = categories_BKJ[:, place], category_weights_BKJ[:, place].double()
        worth_BJ = (1 - alpha) ** listed_BC.gather(1, categories_BJ) * intents_BC.gather(1, categories_BJ)
        discount = torch.log2(listed_BC.new_tensor(place + 2.0))
        gained_B += (weights_BJ * worth_BJ).sum(-1) / discount
        ideal_B += (1 - alpha) ** (place // count_B.clamp(min=1)).double() / discount
        listed_BC.scatter_add_(1, categories_BJ, weights_BJ)
    return (gained_B / ideal_B).masked_fill(count_B == 0, torch.nan)


def subtopic_recall(categories_BKJ: Tensor, category_weights_BKJ: Tensor, intents_BC: Tensor) -> Tensor:
    """Share of the user's intents that a listed item belongs to (Zhai, Cohen & Lafferty 2003).

    Returns:
        (B,), in [0, 1]; higher = more of what the user went for is there. NaN without an intent.
    """
    listed_BC = torch.zeros(intents_BC.shape, dtype=torch.float64, device=intents_BC.device)
    listed_BC.scatter_add_(1, categories_BKJ.flatten(1), category_weights_BKJ.double().flatten(1))
    return ((listed_BC > 0) & intents_BC).sum(-1) / intents_BC.sum(-1).double().masked_fill(
        ~intents_BC.any(-1), torch.nan
    )


def expected_intra_list_distance(distances_BKK: Tensor, relevance_BK: Tensor, valid_BK: Tensor) -> Tensor:
    """Rank- and relevance-aware intra-list distance (EILD, Vargas & Castells 2011).

    sum_i disc(i) p_i / sum_i disc(i) * [sum_{j != i} disc(j | i) p_j d_ij / sum_{j != i} disc(j | i) p_j], with
    disc(i) = 1 / log2(i + 1), disc(j | i) = disc(max(1, j - i)) and p the relevance: far items count where both matter.

    Returns:
        (B,) in the distance's range; higher is more diverse and relevant. NaN for lists of fewer than two items.
    """
    size = distances_BKK.shape[-1]
    ranks_K = torch.arange(1, size + 1, device=valid_BK.device, dtype=torch.float64)
    after_KK = (ranks_K - ranks_K.unsqueeze(-1)).clamp(min=1)
    others_KK = (1 / torch.log2(after_KK + 1)).fill_diagonal_(0)
    weights_BKK = others_KK * (relevance_BK * valid_BK).unsqueeze(-2)
    total_BK = weights_BKK.sum(-1)
    inner_BK = (weights_BKK * distances_BKK).sum(-1) / total_BK.masked_fill(total_BK == 0, 1)
    discount_BK = valid_BK / torch.log2(ranks_K + 1)
    value_B = (discount_BK * relevance_BK * inner_BK).sum(-1) / discount_BK.sum(-1)
    return value_B.masked_fill(valid_BK.sum(-1) < 2, torch.nan)


def serendipity(hits_BK: Tensor, profile_distance_BK: Tensor) -> Tensor:
    """Mean over the list's K places of hit * distance from the history (Vargas & Castells 2011, relevance-aware).

    Args:
        hits_BK: True where the place holds a target.
        profile_distance_BK: mean distance 1 - cos of the item to the history's items; NaN for an empty history.

    Returns:
        (B,), in [0, 2]; higher = the user went for items unlike what came before. NaN for an empty history.
    """
    return (hits_BK * profile_distance_BK).mean(-1)
