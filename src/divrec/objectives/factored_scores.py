"""A softmax over all items that never holds the scores of all of them.

The sum over items is gathered chunk by chunk, and the backward pass computes each chunk's scores once more: more
arithmetic for less memory, as in FlashAttention (Dao et al. 2022) and Cut Cross-Entropy (Wijmans et al. 2024).

Shapes: Q queries, N items, C items of a chunk, D dimension, S seen items, P targets, X masked pairs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable


@dataclass(frozen=True)
class FactoredScores:
    """Scores that have not been multiplied out: users_QD @ items_ND.T, -inf where masked.

    Attributes:
        users_QD: user vectors.
        items_ND: item vectors.
        seen_QS: items that are masked for a query, padded with N; None = none.
        spared_N: items that are masked for all queries; None = none.
    """

    users_QD: Tensor
    items_ND: Tensor
    seen_QS: Tensor | None = None
    spared_N: Tensor | None = None

    def surprise(self, queries_P: Tensor, items_P: Tensor, chunk: int) -> Tensor:
        """The cross-entropy of each target (P,): log sum exp(s) over all items, less the target's own s.

        Vectors are multiplied in the number format of autocast, sums are single precision at least.

        Args:
            queries_P: query of each target.
            items_P: its item; one that is masked costs infinity and pulls nothing, as it does in a table of scores.
            chunk: items of which scores are held at a time.
        """
        surprise_P: Tensor = _Surprise.apply(  # type: ignore[no-untyped-call]
            self.users_QD, self.items_ND, _Targets(queries_P, items_P, self._is_masked(queries_P, items_P)), self, chunk
        )
        return surprise_P

    @property
    def number_format(self) -> torch.dtype:
        """In which vectors are multiplied."""
        device = self.users_QD.device.type
        if torch.is_autocast_enabled(device):
            return torch.get_autocast_dtype(device)
        return torch.promote_types(self.users_QD.dtype, self.items_ND.dtype)

    def _is_masked(self, queries_P: Tensor, items_P: Tensor) -> Tensor:
        masked_P = torch.zeros_like(items_P, dtype=torch.bool)
        if self.seen_QS is not None:
            masked_P |= (self.seen_QS[queries_P] == items_P.unsqueeze(-1)).any(-1)
        return masked_P if self.spared_N is None else masked_P | self.spared_N[items_P]


@dataclass(frozen=True)
class _Targets:
    queries_P: Tensor
    items_P: Tensor
    masked_P: Tensor


@dataclass(frozen=True)
class _Chunks:
    """The masked pairs in the order of their items, and where each chunk's begin."""

    size: int
    number_format: torch.dtype
    queries_X: Tensor
    items_X: Tensor
    firsts: list[int]
    spared_N: Tensor | None

    @classmethod
    def of(cls, scores: FactoredScores, size: int) -> _Chunks:
        items = scores.items_ND.shape[0]
        seen_QS = scores.users_QD.new_empty(0, 0, dtype=torch.long) if scores.seen_QS is None else scores.seen_QS
        is_item_QS = seen_QS < items
        items_X, order_X = seen_QS[is_item_QS].sort()
        firsts = torch.searchsorted(items_X, torch.arange(0, items + size, size, device=items_X.device)).tolist()
        queries_X = is_item_QS.nonzero()[:, 0][order_X]
        return cls(size, scores.number_format, queries_X, items_X, firsts, scores.spared_N)

    def scores(self, users_QD: Tensor, items_ND: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """The place of each chunk and its scores (Q, C), which the next chunk overwrites."""
        queries, items = users_QD.shape[0], items_ND.shape[0]
        space = torch.empty(queries * min(self.size, items), dtype=self.number_format, device=users_QD.device)
        for number, start in enumerate(range(0, items, self.size)):
            part = slice(start, min(start + self.size, items))
            width = part.stop - start
            scores_QC = space[: queries * width].view(queries, width)
            torch.mm(users_QD, items_ND[part].to(self.number_format).T, out=scores_QC)
            scores_QC = scores_QC.to(_precise(self.number_format))
            masked = slice(self.firsts[number], self.firsts[number + 1])
            scores_QC[self.queries_X[masked], self.items_X[masked] - start] = -torch.inf
            if self.spared_N is not None:
                scores_QC.masked_fill_(self.spared_N[part], -torch.inf)
            yield part, scores_QC


class _Surprise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, users_QD: Tensor, items_ND: Tensor, targets: _Targets, scores: FactoredScores, chunk: int
    ) -> Tensor:
        chunks = _Chunks.of(scores, chunk)
        low_QD = users_QD.to(chunks.number_format)
        with torch.autocast(users_QD.device.type, enabled=False):
            normalizer_Q = low_QD.new_full(low_QD.shape[:1], -torch.inf, dtype=_precise(low_QD.dtype))
            for _, scores_QC in chunks.scores(low_QD, items_ND):
                normalizer_Q = torch.logaddexp(normalizer_Q, _log_sum_exp_in_place(scores_QC))
            target_PD = items_ND[targets.items_P].to(low_QD.dtype).to(normalizer_Q.dtype)
            own_P = torch.linalg.vecdot(low_QD[targets.queries_P].to(normalizer_Q.dtype), target_PD)
            own_P = own_P.to(low_QD.dtype).to(normalizer_Q.dtype)  # rounded as it is among all items
        ctx.save_for_backward(users_QD, items_ND, normalizer_Q)
        ctx.targets, ctx.chunks = targets, chunks  # type: ignore[attr-defined]
        return normalizer_Q[targets.queries_P] - own_P.masked_fill(targets.masked_P, -torch.inf)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_P: Tensor) -> tuple[Tensor, Tensor, None, None, None]:  # noqa: ANN401
        users_QD, items_ND, normalizer_Q = ctx.saved_tensors
        targets, chunks = ctx.targets, ctx.chunks
        low_QD = users_QD.to(chunks.number_format)
        # A query to which everything is masked pulls nothing: -inf less -inf would be NaN, for every item.
        normalizer_Q = normalizer_Q.masked_fill(normalizer_Q == -torch.inf, 0)
        with torch.autocast(users_QD.device.type, enabled=False):
            weight_Q1 = torch.zeros_like(normalizer_Q).index_add_(0, targets.queries_P, gradient_P).unsqueeze(-1)
            users_gradient_QD = torch.zeros_like(users_QD, dtype=normalizer_Q.dtype)
            items_gradient_ND = torch.empty_like(items_ND)
            for part, scores_QC in chunks.scores(low_QD, items_ND):
                pull_QC = scores_QC.sub_(normalizer_Q.unsqueeze(-1)).exp_().mul_(weight_Q1).to(low_QD.dtype)
                users_gradient_QD += pull_QC @ items_ND[part].to(low_QD.dtype)
                items_gradient_ND[part] = pull_QC.T @ low_QD
            lift_P1 = -gradient_P.masked_fill(targets.masked_P, 0).unsqueeze(-1)
            from_items_PD = lift_P1 * items_ND[targets.items_P]
            users_gradient_QD.index_add_(0, targets.queries_P, from_items_PD.to(users_gradient_QD.dtype))
            from_users_PD = lift_P1 * users_QD[targets.queries_P]
            items_gradient_ND.index_add_(0, targets.items_P, from_users_PD.to(items_gradient_ND.dtype))
        return users_gradient_QD.to(users_QD.dtype), items_gradient_ND, None, None, None


def _log_sum_exp_in_place(scores_QC: Tensor) -> Tensor:
    """Of each row; -inf where all of it is masked. The scores are used up, so that no second table is made."""
    largest_Q1 = scores_QC.amax(-1, keepdim=True).clamp_(min=torch.finfo(scores_QC.dtype).min)
    return scores_QC.sub_(largest_Q1).exp_().sum(-1).log_() + largest_Q1.squeeze(-1)


def _precise(number_format: torch.dtype) -> torch.dtype:
    return torch.promote_types(number_format, torch.float32)
