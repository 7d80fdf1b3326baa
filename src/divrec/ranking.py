"""From scores to a ranking: mask, chunk, break ties, keep the top M and find where the targets came.

Training's validation and the evaluation share this, so both rank against all items and treat ties alike. Very many
items are ranked a block at a time by `divrec.ranking_blocks`, with the same result.
Shapes: B users, N items, M candidates kept, K delivered items, T targets a user, S seen items a user.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from divrec.batch import Ranking, Slate
from divrec.errors import ConfigError, DataError

CHUNK = 2**22  # scores held at once; a chunk needs about five times their memory
_MARGIN = 32  # spare candidates, so that a tie at the last place seldom needs the whole row in order


def tie_order(size: int, seed: int) -> Tensor:
    """Place of each item among items of equal score: a seeded permutation of 0 ... size - 1, the lowest first."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def rank(scores_BN: Tensor, targets_BT: Tensor, seen_BS: Tensor | None, top: int, tie_order_N: Tensor) -> Ranking:
    """Rank all items for every user and find the targets among them.

    An item that a user has seen cannot be ranked. A target among them is not relevant either, for no list could hold
    it: it turns into padding (target -1, above 0, ties 0), and a user with no other target has no accuracy (NaN).

    Args:
        scores_BN: score of every item, higher is better; -inf is legal and comes last.
        targets_BT: relevant items, distinct in a row, padded with -1.
        seen_BS: items that must not be ranked, padded with N; None ranks every item.
        top: number M of items to keep.
        tie_order_N: place of each item among items of equal score, from `tie_order`.

    Returns:
        the ranking; its rows have `top` places whatever N is. The order is exact: by score, then by `tie_order_N`.

    Raises:
        DataError: a score is NaN or +inf.
        ConfigError: `top` is below 1.
    """
    if top < 1:
        raise ConfigError("a ranking keeps at least one item", where="top", got=top)
    rows = max(1, CHUNK // max(1, scores_BN.shape[1]))
    places_N = tie_order_N.to(scores_BN.device)
    parts = [
        _rank_chunk(
            scores_BN[start : start + rows],
            targets_BT[start : start + rows],
            None if seen_BS is None else seen_BS[start : start + rows],
            top,
            places_N,
        )
        for start in range(0, max(1, scores_BN.shape[0]), rows)
    ]
    return concatenated(parts)


def concatenated(parts: Sequence[Ranking]) -> Ranking:
    """The rankings of some users and of others as one."""
    names = [field.name for field in dataclasses.fields(Ranking)]
    return Ranking(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


def deliver(ranking: Ranking, k: int) -> Slate:
    """The first k places of a ranking as the delivered list.

    Raises:
        ConfigError: the ranking keeps fewer than k places, or k is below 1.
    """
    kept = ranking.items_BM.shape[1]
    if not 1 <= k <= kept:
        raise ConfigError(f"a list of k items needs a ranking of at least k, this one keeps {kept}", where="k", got=k)
    return Slate(ranking.items_BM[:, :k], ranking.scores_BM[:, :k])


def delivered_ranks(slate: Slate, ranking: Ranking) -> Ranking:
    """The ranking with each target at its place in the delivered list, for accuracy in the top K.

    A user whose list came as ranked keeps the ranks of the ranking, score ties in expectation. A re-ranked list is
    what it is: a target's place is known (ties 1), and one that is not in the list stands behind it (above K). Ranks
    beyond K mean nothing then: take the AUC from the ranking itself. The ranking keeps at least K places.
    """
    width = slate.items_BK.shape[1]
    changed_B1 = (ranking.items_BM[:, :width] != slate.items_BK).any(-1, keepdim=True)
    found_BTK = slate.items_BK.unsqueeze(1) == ranking.targets_BT.unsqueeze(-1)
    place_BT = torch.where(found_BTK.any(-1), found_BTK.int().argmax(-1), width)
    relevant_BT = ranking.ties_BT > 0
    return dataclasses.replace(
        ranking,
        above_BT=torch.where(changed_B1 & relevant_BT, place_BT, ranking.above_BT),
        ties_BT=torch.where(changed_B1 & relevant_BT, 1, ranking.ties_BT),
    )


def _rank_chunk(scores_BN: Tensor, targets_BT: Tensor, seen_BS: Tensor | None, top: int, places_N: Tensor) -> Ranking:
    scores_BN = check_scores(scores_BN)
    size = scores_BN.shape[1]
    masked_BN = _seen_mask(seen_BS, scores_BN)
    open_BN = scores_BN.masked_fill(masked_BN, -torch.inf)
    hidden_B = masked_BN.sum(-1)
    relevant_BT = targets_BT >= 0
    relevant_BT = relevant_BT & ~masked_BN.gather(1, targets_BT.clamp(min=0))
    ascending_BN = ascending(open_BN)
    above_BT, ties_BT = target_ranks(ascending_BN, open_BN.gather(1, targets_BT.clamp(min=0)), hidden_B)
    candidates = Candidates(open_BN, masked_BN, places_N)
    items_BM = _top_items(candidates, ascending_BN, min(top, size))
    return filled(
        (items_BM, open_BN.gather(1, items_BM)), (targets_BT, relevant_BT, above_BT, ties_BT), size - hidden_B, top
    )


def check_scores(scores_BN: Tensor) -> Tensor:
    """Scores as floating numbers.

    Raises:
        DataError: a score is NaN or +inf.
    """
    scores_BN = scores_BN if scores_BN.is_floating_point() else scores_BN.double()
    # amax hands NaN on, so one pass finds both kinds
    if scores_BN.numel() and not bool(scores_BN.amax() < torch.inf):
        raise DataError(
            "scores are not finite",
            where="scores of the model",
            mend="Training may have diverged: lower the learning rate or the weight of the regularizer",
        )
    return scores_BN


def filled(
    best: tuple[Tensor, Tensor], targets: tuple[Tensor, Tensor, Tensor, Tensor], candidates_B: Tensor, top: int
) -> Ranking:
    """The ranking of `top` places a user.

    Args:
        best: items in order and their scores, both (B, top) or as wide as there are items.
        targets: targets, which of them can be ranked, items above them and items of their score, all (B, T).
        candidates_B: number of rankable items; what stands behind them is padding.
        top: number M of places.
    """
    (items_BM, scores_BM), (targets_BT, relevant_BT, above_BT, ties_BT) = best, targets
    empty_BM = torch.arange(items_BM.shape[1], device=items_BM.device) >= candidates_B.unsqueeze(-1)
    padding, pad = (0, top - items_BM.shape[1]), torch.nn.functional.pad
    return Ranking(
        items_BM=pad(items_BM.masked_fill(empty_BM, -1), padding, value=-1),
        scores_BM=pad(scores_BM.masked_fill(empty_BM, -torch.inf), padding, value=-torch.inf),
        targets_BT=targets_BT.masked_fill(~relevant_BT, -1),
        above_BT=above_BT.masked_fill(~relevant_BT, 0),
        ties_BT=ties_BT.masked_fill(~relevant_BT, 0),
        candidates_B=candidates_B,
    )


def _seen_mask(seen_BS: Tensor | None, scores_BN: Tensor) -> Tensor:
    size = scores_BN.shape[1]
    mask_BN = torch.zeros(scores_BN.shape[0], size + 1, dtype=torch.bool, device=scores_BN.device)
    return mask_BN[:, :size] if seen_BS is None else mask_BN.scatter(1, seen_BS.long(), True)[:, :size]


def target_ranks(ascending_BN: Tensor, wanted_BT: Tensor, hidden_B: Tensor) -> tuple[Tensor, Tensor]:
    """Items strictly above each target and items of its score.

    Args:
        ascending_BN: scores of the items in ascending order, -inf for masked ones.
        wanted_BT: scores of the targets.
        hidden_B: number of masked items; they do not count.
    """
    size = ascending_BN.shape[1]
    wanted_BT = wanted_BT.to(ascending_BN.dtype).contiguous()
    below_BT = torch.searchsorted(ascending_BN, wanted_BT, right=False)
    up_to_BT = torch.searchsorted(ascending_BN, wanted_BT, right=True)
    hidden_BT = torch.where(wanted_BT == -torch.inf, hidden_B.unsqueeze(-1), 0)
    return size - up_to_BT, up_to_BT - below_BT - hidden_BT


def ascending(scores_BN: Tensor) -> Tensor:
    """Each row's scores in ascending order; on the CPU narrow floats become single precision."""
    if scores_BN.device.type != "cpu":
        return scores_BN.sort(dim=-1).values
    # numpy sorts plain values with vector instructions: measured 25 times faster than torch on one core
    return torch.from_numpy(np.sort(_plain(scores_BN), axis=-1))


def _plain(values: Tensor) -> NDArray[Any]:
    """On the CPU, as numpy has it: narrow floats become single precision."""
    return (values if values.dtype in (torch.bool, torch.float32, torch.float64) else values.float()).numpy()


def order_of(scores_BX: Tensor, key_BX: Tensor) -> Tensor:
    """Places by descending score, then by key."""
    by_key_BX = key_BX.argsort(dim=-1)
    by_score_BX = scores_BX.gather(1, by_key_BX).sort(dim=-1, descending=True, stable=True).indices
    return by_key_BX.gather(1, by_score_BX)


@dataclass(frozen=True)
class Candidates:
    """The scores that are ranked, and what decides between equal ones.

    Attributes:
        open_BN: scores, -inf for masked items.
        masked_BN: items that must not be ranked.
        places_N: place of each item among items of equal score.
    """

    open_BN: Tensor
    masked_BN: Tensor
    places_N: Tensor

    def in_order(self, rows_B: Tensor | None, items_BX: Tensor) -> Tensor:
        """Items of some rows (None = all) by descending score, then by place; a masked one behind any at -inf."""
        open_BN = self.open_BN if rows_B is None else self.open_BN[rows_B]
        masked_BN = self.masked_BN if rows_B is None else self.masked_BN[rows_B]
        key_BX = self.places_N[items_BX] + open_BN.shape[1] * masked_BN.gather(1, items_BX)
        return items_BX.gather(1, order_of(open_BN.gather(1, items_BX), key_BX))

    def top(self, count: int) -> Tensor:
        """The exact top, (B, count)."""
        on_cpu = self.open_BN.device.type == "cpu"
        return _top_items(self, ascending(self.open_BN) if on_cpu else self.open_BN, count)


def _top_items(candidates: Candidates, ascending_BN: Tensor, top: int) -> Tensor:
    """The exact top, (B, top); the sorted scores are read on the CPU only."""
    rows, size = candidates.open_BN.shape
    if top == size:
        return candidates.in_order(None, torch.arange(size, device=candidates.open_BN.device).expand(rows, size))
    if candidates.open_BN.device.type == "cpu":
        return _top_by_threshold(candidates, ascending_BN, top)
    return _top_by_selection(candidates, top)


def _top_by_threshold(candidates: Candidates, ascending_BN: Tensor, top: int) -> Tensor:
    """All items from the score at place `top` up, read off the sorted scores: on one core ten times torch's topk."""
    rows, size = candidates.open_BN.shape
    reaching_BN = candidates.open_BN >= ascending_BN[:, size - top, None]
    flat = np.flatnonzero(reaching_BN.numpy())
    if len(flat) == rows * top:  # no tie at the last place of any row
        return candidates.in_order(None, torch.from_numpy(flat % size).view(rows, top))
    counts_B = np.bincount(flat // size, minlength=rows)
    items_BM = torch.empty(rows, top, dtype=torch.int64)
    exact_B = torch.from_numpy(np.flatnonzero(counts_B == top))
    kept = torch.from_numpy(flat[np.repeat(counts_B == top, counts_B)] % size)
    items_BM[exact_B] = candidates.in_order(exact_B, kept.view(-1, top))
    tied = flat[np.repeat(counts_B > top, counts_B)]
    row, item = tied // size, tied % size
    masked, scores = (_plain(each).ravel()[tied] for each in (candidates.masked_BN, candidates.open_BN))
    order = np.lexsort((candidates.places_N.numpy()[item] + size * masked, -scores, row))
    counts = counts_B[counts_B > top]
    heads = (np.cumsum(counts) - counts)[:, None] + np.arange(top)
    items_BM[torch.from_numpy(np.flatnonzero(counts_B > top))] = torch.from_numpy(item[order][heads])
    return items_BM


def _top_by_selection(candidates: Candidates, top: int) -> Tensor:
    """`topk` finds some spare ones, too, in whatever order; rows whose tie goes beyond them are put in order whole."""
    size = candidates.open_BN.shape[1]
    width = min(size, top + _MARGIN)
    best = candidates.open_BN.topk(width, dim=-1)
    items_BM = candidates.in_order(None, best.indices)[:, :top]
    if width == size:
        return items_BM
    straddling = (best.values[:, -1] == best.values[:, top - 1]).nonzero().squeeze(-1)
    if straddling.numel():
        everything = torch.arange(size, device=items_BM.device).expand(straddling.numel(), size)
        items_BM = items_BM.index_copy(0, straddling, candidates.in_order(straddling, everything)[:, :top])
    return items_BM
