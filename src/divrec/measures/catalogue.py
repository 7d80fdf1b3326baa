"""The catalogue as a whole: how evenly it is shown, and how popular its items are, all of them or those of a list.

Shapes: N items, B rows (users), K delivered items.
"""

from __future__ import annotations

import torch
from torch import Tensor

HEAD, MID, TAIL, NEW = range(4)
POPULARITY_CLASSES = ("head", "mid", "tail", "new")
_PARTS = 5  # head and tail hold one part of all events each


def gini_index(exposure_N: Tensor) -> Tensor:
    """Gini index of exposure (Fleder & Hosanagar 2009) sum_i (2 i - N - 1) e_(i) / (N sum e), e ascending.

    Returns:
        scalar in [0, 1 - 1/N]: 0 = every item shown equally often, near 1 = one item gets all. NaN if nothing is shown.
    """
    size = exposure_N.shape[-1]
    ranks = torch.arange(1, size + 1, device=exposure_N.device, dtype=exposure_N.dtype)
    ascending = exposure_N.sort(-1).values
    return ((2 * ranks - size - 1) * ascending).sum(-1) / (size * exposure_N.sum(-1))


def gini_price(exposure_N: Tensor) -> Tensor:
    """Weight (2 rank_i - N - 1) / N of each item in the Gini index: its derivative by e_i times sum e, less a constant.

    Items of equal exposure share the mean of their ranks.

    Returns:
        (N,), in (-1, 1), summing to 0; higher = shown more often than others.
    """
    size = exposure_N.shape[-1]
    ascending_N = exposure_N.sort().values
    first_N = torch.searchsorted(ascending_N, exposure_N)
    last_N = torch.searchsorted(ascending_N, exposure_N, right=True)
    return (first_N + last_N - size).to(exposure_N.dtype) / size


def unseen_share(exposure_N: Tensor, users: float) -> Tensor:
    """Expected share of items that nobody sees, mean_i exp(-U e_i), if views are independent (Poisson).

    Args:
        exposure_N: expected views of each item by one user.
        users: U.

    Returns:
        scalar in [0, 1]; 0 = every item is seen.
    """
    return torch.exp(-users * exposure_N).mean(-1)


def coverage(exposure_N: Tensor) -> Tensor:
    """Share of the catalogue that is in anybody's list (Ge et al. 2010), in [0, 1]; higher = more of it is seen.

    An item shown once counts in full; 0 if nothing is shown.
    """
    return (exposure_N > 0).double().mean(-1)


def popularity_weight(counts_N: Tensor) -> Tensor:
    """Popularity of each item: 1 - I_i / I_max with the self-information I = -log2((n_i + 1) / (n + N)).

    Self-information is how Zhou et al. (2010) measure novelty; adding one event to each item and turning the scale
    round are ours.

    Returns:
        (N,) float64, in [0, 1): 0 = never touched, higher = more popular.
    """
    counts = counts_N.double()
    information = -torch.log2((counts + 1) / (counts.sum() + counts.shape[-1]))
    return 1 - information / -torch.log2(1 / (counts.sum() + counts.shape[-1]))


def popularity_bias(weights_BK: Tensor, valid_BK: Tensor) -> Tensor:
    """Mean `popularity_weight` of the listed items (a list's novelty by Zhou et al. 2010, turned round and scaled).

    Returns:
        (B,), in [0, 1); lower = more of the long tail. NaN for an empty list.
    """
    return _listed_mean(weights_BK, valid_BK)


def average_popularity(counts_BK: Tensor, valid_BK: Tensor) -> Tensor:
    """Mean number of training events of the listed items (ARP; Yin et al. 2012).

    Returns:
        (B,) float64, from 0; lower = more of the long tail. NaN for an empty list.
    """
    return _listed_mean(counts_BK.double(), valid_BK)


def long_tail_share(classes_BK: Tensor, valid_BK: Tensor) -> Tensor:
    """Share of the listed items that are of the tail, or new (APLT; Abdollahpouri et al. 2019).

    Args:
        classes_BK: `popularity_class` of the listed items.
        valid_BK: False at padding.

    Returns:
        (B,) float64, in [0, 1]; higher = more of the long tail. NaN for an empty list.
    """
    return _listed_mean((classes_BK >= TAIL).double(), valid_BK)


def effective_coverage(exposure_N: Tensor) -> Tensor:
    """exp(entropy of the exposure shares) over the number of items (the inverse of Hill's evenness, order 1).

    Returns:
        scalar in [1/N, 1]: 1 = every item shown equally often; unlike coverage, a single exposure counts next to
        nothing. NaN if nothing is shown.
    """
    counts = exposure_N.double()
    shares = counts / counts.sum(-1, keepdim=True)
    return torch.special.entr(shares).sum(-1).exp() / counts.shape[-1]


def popularity_class(counts_N: Tensor) -> Tensor:
    """Head, mid, tail or new (0 ... 3) of each item by its training events (Abdollahpouri et al. 2020).

    Head: the most popular items that together hold 20 % of all events; tail: the least popular that hold 20 %; new: no
    event at all. Items of equal counts share a class, the head before the tail.
    """
    classes_N = torch.full_like(counts_N, NEW, dtype=torch.int64)
    ascending = counts_N.sort().values
    cumulated = ascending.cumsum(0)
    if not len(cumulated) or int(cumulated[-1]) == 0:
        return classes_N
    # in integers, so that an edge that is hit exactly is hit on every machine
    total = cumulated[-1:]
    tail_up_to = ascending[torch.searchsorted(_PARTS * cumulated, total)]
    head_from = ascending[torch.searchsorted(_PARTS * cumulated, (_PARTS - 1) * total, right=True)]
    classes_N[counts_N > 0] = MID
    classes_N[(counts_N > 0) & (counts_N <= tail_up_to)] = TAIL
    classes_N[counts_N >= head_from] = HEAD
    return classes_N


def _listed_mean(values_BK: Tensor, valid_BK: Tensor) -> Tensor:
    return values_BK.masked_fill(~valid_BK, 0).sum(-1) / valid_BK.sum(-1)
