"""Accuracy: targets against all ranked items, score ties in expectation.

A target with `above` items strictly higher and `ties` items of its score (itself among them) stands at each of the
ranks above + 1 ... above + ties with equal probability, so a constant scorer gets what chance gets. Places with ties 0
are padding; users without a target are NaN. Shapes: B users, T targets a user.
"""

from __future__ import annotations

import torch
from torch import Tensor


def recall(above_BT: Tensor, ties_BT: Tensor, k: int) -> Tensor:
    """Expected hits in the top k over the number of relevant items (Kent et al. 1955), not over min(k, relevant).

    Ties in expectation as in McSherry & Najork 2008.

    Returns:
        (B,), in [0, 1]; 1 = all relevant items are delivered. NaN without a target.
    """
    relevant = (ties_BT > 0).sum(-1)
    return _hit_chance(above_BT, ties_BT, k).sum(-1) / relevant


def precision(above_BT: Tensor, ties_BT: Tensor, k: int) -> Tensor:
    """Expected hits in the top k over k (Kent et al. 1955); a list shorter than k counts as padded with misses.

    Ties in expectation as in McSherry & Najork 2008.

    Returns:
        (B,), in [0, min(1, relevant / k)]; higher = fewer misses are delivered. NaN without a target.
    """
    return _hit_chance(above_BT, ties_BT, k).sum(-1).masked_fill(~(ties_BT > 0).any(-1), torch.nan) / k


def hit_rate(above_BT: Tensor, ties_BT: Tensor, k: int) -> Tensor:
    """Chance of at least one hit in the top k (Deshpande & Karypis 2004), in [0, 1]; NaN without a target.

    Of the best tie group's t items, n of them relevant, j = k - above come into the list: 1 - C(t - n, j) / C(t, j).
    """
    best_B, relevant_B, tied_B = _best_group(above_BT, ties_BT)
    places_B = torch.minimum((k - best_B).clamp(min=0), tied_B)
    others_B = (tied_B - relevant_B).clamp(min=0)  # all targets behind a re-ranked list stand at one place
    log_miss = _log_choose(others_B, places_B) - _log_choose(tied_B, places_B)
    value_B = torch.where(places_B > others_B, 1.0, -torch.expm1(log_miss))
    return value_B.masked_fill(~(ties_BT > 0).any(-1), torch.nan)


def average_precision(above_BT: Tensor, ties_BT: Tensor, k: int) -> Tensor:
    """Expected sum over hits in the top k of precision at the hit's rank, over min(k, relevant) (Manning et al. 2008).

    Ties as in McSherry & Najork 2008: with h relevant items above a group of t, n of them relevant, a relevant one at
    rank i of it is preceded by h + (i - above - 1) (n - 1) / (t - 1) relevant ones on average.

    Returns:
        (B,), in [0, 1]; 1 = hits lead the list. NaN without a target.
    """
    valid_BT = ties_BT > 0
    placed_BT = above_BT.masked_fill(~valid_BT, torch.iinfo(above_BT.dtype).max).contiguous()
    ascending_BT = placed_BT.sort(-1).values
    before_BT = torch.searchsorted(ascending_BT, placed_BT)
    group_BT = torch.searchsorted(ascending_BT, placed_BT, right=True) - before_BT
    harmonic = torch.arange(1, k + 1, device=above_BT.device, dtype=torch.float64).reciprocal().cumsum(0)
    harmonic = torch.cat([harmonic.new_zeros(1), harmonic])
    first_BT, last_BT = above_BT.clamp(max=k), (above_BT + ties_BT).clamp(max=k)
    slope_BT = (group_BT - 1).double() / (ties_BT - 1).clamp(min=1)
    reciprocal_BT = harmonic[last_BT] - harmonic[first_BT]
    sum_BT = (before_BT + 1 - (above_BT + 1) * slope_BT) * reciprocal_BT + slope_BT * (last_BT - first_BT)
    total_B = (sum_BT / ties_BT.clamp(min=1)).masked_fill(~valid_BT, 0).sum(-1)
    relevant_B = valid_BT.sum(-1)
    return total_B / relevant_B.clamp(max=k).double().masked_fill(relevant_B == 0, torch.nan)


def ndcg(above_BT: Tensor, ties_BT: Tensor, k: int) -> Tensor:
    """Expected DCG over its ideal (Jarvelin & Kekalainen 2002), binary gains with discount 1 / log2(rank + 1).

    The ideal has min(k, relevant) hits at the first ranks.

    Returns:
        (B,), in [0, 1]; 1 = hits lead the list. NaN without a target.
    """
    ranks = torch.arange(1, k + 1, device=above_BT.device, dtype=torch.float64)
    cumulated = torch.cat([ranks.new_zeros(1), (1 / torch.log2(ranks + 1)).cumsum(0)])
    gain = cumulated[(above_BT + ties_BT).clamp(max=k)] - cumulated[above_BT.clamp(max=k)]
    valid = ties_BT > 0
    ideal = cumulated[valid.sum(-1).clamp(max=k)]
    return (gain / ties_BT.clamp(min=1)).masked_fill(~valid, 0).sum(-1) / ideal.masked_fill(ideal == 0, torch.nan)


def mrr(above_BT: Tensor, ties_BT: Tensor, k: int) -> Tensor:
    """Expected reciprocal rank of the first hit, 0 beyond rank k (Voorhees 1999), in [0, 1]; NaN without a target.

    With n relevant among t tied items the first stands j-th among them with probability C(t - j, n - 1) / C(t, n).
    """
    best, relevant, tied = _best_group(above_BT, ties_BT)
    chance = relevant / tied
    value = torch.zeros_like(chance)
    for step in range(k):
        rank = best + step + 1
        value += torch.where(rank <= k, chance / rank, 0.0)
        chance = chance * ((tied - step - relevant) / (tied - step - 1)).nan_to_num(0, 0, 0).clamp(min=0)
    return torch.where((ties_BT > 0).any(-1), value, torch.nan)


def auc(above_BT: Tensor, ties_BT: Tensor, candidates_B: Tensor) -> Tensor:
    """Area under the ROC curve of each user: the chance that a target scores above another item, ties counted half.

    It is Mann & Whitney's (1947) U over the number of pairs.

    Returns:
        (B,), in [0, 1]; .5 = chance, 1 = no other item above a target. NaN without a target or without a non-target.
    """
    wins, pairs = pairs_won_twice(above_BT, ties_BT, candidates_B)
    return wins.double() / (2 * pairs).double().masked_fill(pairs == 0, torch.nan)


def pairs_won_twice(above_BT: Tensor, ties_BT: Tensor, candidates_B: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs (target, other item) of each user: twice those that the target wins, a tie being half won; and all of them.

    Both are integers (B,), so that sums over users and processes are exact.
    """
    valid_BT = ties_BT > 0
    relevant_B = valid_BT.sum(-1)
    from_below_BT = 2 * (candidates_B.unsqueeze(-1) - above_BT) - (ties_BT - 1)
    wins_B = from_below_BT.masked_fill(~valid_BT, 0).sum(-1) - relevant_B * (relevant_B + 1)
    return wins_B, relevant_B * (candidates_B - relevant_B)


def _best_group(above_BT: Tensor, ties_BT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of the best placed targets: items above them, how many they are, items of their score; float64 (B,)."""
    valid_BT = ties_BT > 0
    best_B1 = above_BT.masked_fill(~valid_BT, torch.iinfo(above_BT.dtype).max).min(-1, keepdim=True).values
    in_best_BT = valid_BT & (above_BT == best_B1)
    tied_B = torch.where(in_best_BT, ties_BT, 0).max(-1).values
    return best_B1.squeeze(-1).double(), in_best_BT.sum(-1).double(), tied_B.double()


def _log_choose(n_B: Tensor, j_B: Tensor) -> Tensor:
    """Log C(n, j); for j > n whatever, the caller does without."""
    return torch.lgamma(n_B + 1) - torch.lgamma(j_B + 1) - torch.lgamma((n_B - j_B).clamp(min=0) + 1)


def _hit_chance(above_BT: Tensor, ties_BT: Tensor, k: int) -> Tensor:
    chance = ((k - above_BT).double() / ties_BT.clamp(min=1)).clamp(0, 1)
    return chance.masked_fill(ties_BT == 0, 0)
