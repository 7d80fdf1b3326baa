"""The ranking of `divrec.ranking` from scores that are computed a block of items at a time: B x N are never held.

Blocks come twice: first for the top M and the scores of the targets, then for the items above each target. The result
is that of `rank` on the same scores, exactly.
Shapes: B users, N items, X items of a block, M candidates kept, T targets a user, S seen items a user, Y candidates
that are put in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from divrec.batch import Ranking
from divrec.errors import ConfigError
from divrec.ranking import CHUNK, Candidates, ascending, check_scores, concatenated, filled, order_of, target_ranks

Scorer = Callable[[slice, slice], Tensor]  # users, items -> their scores; asked twice, it says the same


@torch.no_grad()
def rank_blocks(
    score: Scorer, block: int, targets_BT: Tensor, seen_BS: Tensor | None, top: int, tie_order_N: Tensor
) -> Ranking:
    """Rank all items for every user; see `divrec.ranking.rank`.

    Args:
        score: (users, items) -> scores of these items for these users, higher is better. It is asked for each block
            twice and says the same.
        block: number X of items scored at a time; N or more = all at once, smaller = less memory.
        targets_BT: relevant items, distinct in a row, padded with -1.
        seen_BS: items that must not be ranked, padded with N; None ranks every item.
        top: number M of items to keep.
        tie_order_N: place of each item among items of equal score, from `tie_order`.

    Raises:
        DataError: a score is NaN or +inf.
        ConfigError: `top` or `block` is below 1.
    """
    for name, number in (("top", top), ("block", block)):
        if number < 1:
            raise ConfigError("must be at least 1", where=name, got=number)
    users, places_N = targets_BT.shape[0], tie_order_N.to(targets_BT.device)
    rows = max(1, CHUNK // min(block, max(1, len(places_N))))
    parts = []
    for start in range(0, max(1, users), rows):
        part = slice(start, start + rows)
        asked = _Asked(
            lambda items, part=part: score(part, items),  # type: ignore[misc]
            block,
            targets_BT[part],
            None if seen_BS is None else seen_BS[part],
            places_N,
        )
        parts.append(asked.ranking(top))
    return concatenated(parts)


@dataclass(frozen=True)
class _Block:
    """Scores of some neighboring items.

    Attributes:
        first: the first of them.
        open_BX: scores, -inf for masked items.
        masked_BX: items that must not be ranked.
    """

    first: int
    open_BX: Tensor
    masked_BX: Tensor

    def at(self, items_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Places of items in the block, any place for those that lie in no place of it; and which do."""
        places_BT, size = items_BT - self.first, self.open_BX.shape[1]
        return places_BT.clamp(0, size - 1), (places_BT >= 0) & (places_BT < size)


@dataclass(frozen=True)
class _Best:
    """The best items of the blocks so far, in order.

    Attributes:
        items_BY: the items.
        scores_BY: their scores, -inf for masked ones.
        masked_BY: which must not be ranked; they are behind all others.
    """

    items_BY: Tensor
    scores_BY: Tensor
    masked_BY: Tensor

    def and_of(self, block: _Block, places_N: Tensor, top: int) -> _Best:
        """The best of both."""
        span = slice(block.first, block.first + block.open_BX.shape[1])
        local_X = places_N[span].argsort().argsort()  # dense, as the order in a block needs them
        best_BY = Candidates(block.open_BX, block.masked_BX, local_X).top(min(top, len(local_X)))
        items_BY = torch.cat([self.items_BY, best_BY + block.first], dim=1)
        scores_BY = torch.cat([self.scores_BY, block.open_BX.gather(1, best_BY)], dim=1)
        masked_BY = torch.cat([self.masked_BY, block.masked_BX.gather(1, best_BY)], dim=1)
        order_BY = order_of(scores_BY, places_N[items_BY] + len(places_N) * masked_BY)[:, :top]
        return _Best(items_BY.gather(1, order_BY), scores_BY.gather(1, order_BY), masked_BY.gather(1, order_BY))


@dataclass(frozen=True)
class _Asked:
    """Users whose items are ranked.

    Attributes:
        score: items -> their scores for these users.
        size: number X of items of a block.
        targets_BT: relevant items, padded with -1.
        seen_BS: items that must not be ranked, or None.
        places_N: place of each item among items of equal score.
    """

    score: Callable[[slice], Tensor]
    size: int
    targets_BT: Tensor
    seen_BS: Tensor | None
    places_N: Tensor

    def blocks(self) -> Iterator[_Block]:
        """All items, block by block."""
        for first in range(0, max(1, len(self.places_N)), self.size):
            scores_BX = check_scores(self.score(slice(first, min(first + self.size, len(self.places_N)))))
            masked_BX = self._masked(first, scores_BX)
            yield _Block(first, scores_BX.masked_fill(masked_BX, -torch.inf), masked_BX)

    def ranking(self, top: int) -> Ranking:
        """The ranking: its top and where the targets came."""
        best, wanted_BT, relevant_BT, hidden_B = self._best(top)
        above_BT, ties_BT = torch.zeros_like(self.targets_BT), torch.zeros_like(self.targets_BT)
        for block in self.blocks():
            hidden_BX = block.masked_BX.sum(-1)
            above_and_ties = target_ranks(ascending(block.open_BX), wanted_BT, hidden_BX)
            above_BT, ties_BT = above_BT + above_and_ties[0], ties_BT + above_and_ties[1]
        return filled(
            (best.items_BY, best.scores_BY),
            (self.targets_BT, relevant_BT, above_BT, ties_BT),
            len(self.places_N) - hidden_B,
            top,
        )

    def _best(self, top: int) -> tuple[_Best, Tensor, Tensor, Tensor]:
        """The best items; the targets' scores and which can be ranked; the number of items that cannot."""
        users, device = self.targets_BT.shape[0], self.targets_BT.device
        nothing_BY = torch.empty(users, 0, dtype=torch.int64, device=device)
        best, wanted_BT = None, None
        relevant_BT, hidden_B = self.targets_BT >= 0, torch.zeros(users, dtype=torch.int64, device=device)
        for block in self.blocks():
            if best is None or wanted_BT is None:
                best = _Best(nothing_BY, block.open_BX.new_empty(users, 0), nothing_BY.bool())
                wanted_BT = block.open_BX.new_full(self.targets_BT.shape, -torch.inf)
            best = best.and_of(block, self.places_N, top)
            places_BT, inside_BT = block.at(self.targets_BT)
            wanted_BT = torch.where(inside_BT, block.open_BX.gather(1, places_BT), wanted_BT)
            relevant_BT = relevant_BT & ~(inside_BT & block.masked_BX.gather(1, places_BT))
            hidden_B = hidden_B + block.masked_BX.sum(-1)
        assert best is not None
        assert wanted_BT is not None
        return best, wanted_BT, relevant_BT, hidden_B

    def _masked(self, first: int, scores_BX: Tensor) -> Tensor:
        rows, size = scores_BX.shape
        mask_BX = torch.zeros(rows, size + 1, dtype=torch.bool, device=scores_BX.device)
        if self.seen_BS is None:
            return mask_BX[:, :size]
        places_BS = self.seen_BS.long() - first
        outside_BS = (places_BS < 0) | (places_BS >= size)
        return mask_BX.scatter(1, places_BS.masked_fill(outside_BS, size), True)[:, :size]
