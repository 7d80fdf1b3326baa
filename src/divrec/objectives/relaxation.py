"""Relaxations: from scores to a soft slate, so that a regularizer acts on the delivered list and not on the softmax.

Shrinking all logits makes a softmax flat and leaves every top-k list as it was; a soft slate does not change when
scores are scaled or shifted, so that way out is closed (DESIGN section 7).

Shapes: B rows, N items (seen ones masked with -inf), M candidates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from divrec.batch import SoftSlate
from divrec.errors import check_number

_BISECTIONS = 40
_SATURATION = 30.0  # sigmoid(30) is 1 in fp32 to the last bit


class _Candidates(NamedTuple):
    items_BM: Tensor
    shifted_BM: Tensor  # scores less the row's maximum, 0 at invalid places
    valid_BM: Tensor
    spread_B1: Tensor  # population standard deviation over all unmasked items, with gradient


class SoftTopK(nn.Module):
    """m = sigmoid((s - t) / (width * std(s))) with the threshold t that makes each row sum to k.

    Args:
        k: slate size.
        width: softness in standard deviations of the row's scores; towards 0 m becomes the hard top k, larger spreads
            the gradient over more items below the threshold.
        top: how many of the best items are candidates; beyond 100 nothing changes for widths up to .2.
    """

    def __init__(self, k: int, width: float = 0.1, top: int = 100) -> None:
        super().__init__()
        self.k, self.top = _checked_k(k), _checked_top(top, k)
        self.width = _positive("relaxation.width", width)

    def forward(self, scores_BN: Tensor) -> SoftSlate:
        """Membership of the best `top` items of each row."""
        found = _candidates(scores_BN, self.top)
        logits_BM = found.shifted_BM / (self.width * found.spread_B1)
        weights_BM = _memberships(logits_BM, found.valid_BM, self.k)
        return SoftSlate(found.items_BM, weights_BM, found.valid_BM, self.k)


class Midpoint(nn.Module):
    """The simpler form: t halfway between the k-th and the next score, m rescaled to sum k; m can exceed 1.

    Args:
        k: slate size.
        width: as in `SoftTopK`.
        top: as in `SoftTopK`.
    """

    def __init__(self, k: int, width: float = 0.1, top: int = 100) -> None:
        super().__init__()
        self.k, self.top = _checked_k(k), _checked_top(top, k)
        self.width = _positive("relaxation.width", width)

    def forward(self, scores_BN: Tensor) -> SoftSlate:
        """Membership of the best `top` items of each row."""
        found = _candidates(scores_BN, self.top)
        next_B1 = found.shifted_BM[:, min(self.k, found.shifted_BM.shape[1] - 1)].unsqueeze(-1)
        threshold_B1 = (found.shifted_BM[:, min(self.k, found.shifted_BM.shape[1]) - 1].unsqueeze(-1) + next_B1) / 2
        logits_BM = (found.shifted_BM - threshold_B1) / (self.width * found.spread_B1)
        weights_BM = torch.sigmoid(logits_BM).masked_fill(~found.valid_BM, 0)
        weights_BM = self.k * weights_BM / weights_BM.sum(-1, keepdim=True)
        everything_B1 = found.valid_BM.sum(-1, keepdim=True) <= self.k  # no more candidates than places: all are in
        weights_BM = torch.where(everything_B1, found.valid_BM.to(weights_BM.dtype), weights_BM)
        return SoftSlate(found.items_BM, weights_BM, found.valid_BM, self.k)


class Softmax(nn.Module):
    """k times the softmax: the naive form, kept for comparison. It can be made flat without changing one list.

    Args:
        k: slate size.
        temperature: divides the scores; larger is flatter.
    """

    def __init__(self, k: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.k, self.temperature = _checked_k(k), _positive("relaxation.temperature", temperature)

    def forward(self, scores_BN: Tensor) -> SoftSlate:
        """Softmax mass of every item (M = N)."""
        items_BN = torch.arange(scores_BN.shape[1], device=scores_BN.device).expand_as(scores_BN)
        weights_BN = self.k * torch.softmax(_precise(scores_BN) / self.temperature, dim=-1)
        return SoftSlate(items_BN, weights_BN, torch.isfinite(scores_BN), self.k)


def _candidates(scores_BN: Tensor, top: int) -> _Candidates:
    scores_BN = _precise(scores_BN)
    best_BM, items_BM = scores_BN.topk(min(top, scores_BN.shape[1]), dim=-1)
    maximum_B1 = best_BM[:, :1].detach()
    valid_BM = torch.isfinite(best_BM)
    shifted_BM = (best_BM - maximum_B1).masked_fill(~valid_BM, 0)
    return _Candidates(items_BM, shifted_BM, valid_BM, _spread(scores_BN))


def _precise(scores_BN: Tensor) -> Tensor:
    """Single precision at least: half of it can tell neither thresholds nor sums over thousands of items."""
    return scores_BN.float() if scores_BN.dtype in (torch.float16, torch.bfloat16) else scores_BN


def _spread(scores_BN: Tensor) -> Tensor:
    spread_B1: Tensor = _Spread.apply(scores_BN)  # type: ignore[no-untyped-call]
    return spread_B1


class _Spread(torch.autograd.Function):
    """Population standard deviation of each row's finite scores, (B, 1).

    Written out because it reads all items: left to autograd it was most of the cost of a regularizer.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, scores_BN: Tensor) -> Tensor:
        masked_BN = torch.isneginf(scores_BN)
        count_B1 = scores_BN.shape[1] - masked_BN.sum(-1, keepdim=True)
        count_B1 = count_B1.clamp(min=1).to(scores_BN.dtype)
        mean_B1 = scores_BN.masked_fill(masked_BN, 0).sum(-1, keepdim=True) / count_B1
        centered_BN = (scores_BN - mean_B1).masked_fill_(masked_BN, 0)
        variance_B1 = torch.linalg.vecdot(centered_BN, centered_BN).unsqueeze(-1) / count_B1
        # A constant row has no spread; the floor keeps its gradient finite.
        spread_B1 = variance_B1.clamp(min=torch.finfo(scores_BN.dtype).eps ** 2).sqrt()
        ctx.save_for_backward(centered_BN, count_B1 * spread_B1)
        return spread_B1

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_B1: Tensor) -> Tensor:  # noqa: ANN401 - torch has no type for what was saved
        centered_BN, slope_B1 = ctx.saved_tensors
        return centered_BN * (gradient_B1 / slope_B1)


def _memberships(logits_BM: Tensor, valid_BM: Tensor, k: int) -> Tensor:
    """sigmoid(logits - t) with sum k: t by bisection, then one Newton step that carries the implicit gradient."""
    low_B1 = logits_BM.detach().min(-1, keepdim=True).values - _SATURATION
    high_B1 = torch.full_like(low_B1, _SATURATION)
    everything_B1 = valid_BM.sum(-1, keepdim=True) <= k  # no more candidates than places: all are in, t far below
    with torch.no_grad():
        bottom_B1 = low_B1.clone()
        for _ in range(_BISECTIONS):
            middle_B1 = (low_B1 + high_B1) / 2
            too_many_B1 = _soft_count(logits_BM, middle_B1, valid_BM) > k
            low_B1 = torch.where(too_many_B1, middle_B1, low_B1)
            high_B1 = torch.where(too_many_B1, high_B1, middle_B1)
        threshold_B1 = (low_B1 + high_B1) / 2
        inside_BM = torch.sigmoid(logits_BM - threshold_B1)
        slope_B1 = (inside_BM * (1 - inside_BM)).masked_fill(~valid_BM, 0).sum(-1, keepdim=True)
        slope_B1 = slope_B1.clamp(min=torch.finfo(slope_B1.dtype).tiny)
    step_B1 = (_soft_count(logits_BM, threshold_B1, valid_BM) - k) / slope_B1
    threshold_B1 = torch.where(everything_B1, bottom_B1, threshold_B1 + step_B1.masked_fill(everything_B1, 0))
    return torch.sigmoid(logits_BM - threshold_B1).masked_fill(~valid_BM, 0)


def _soft_count(logits_BM: Tensor, threshold_B1: Tensor, valid_BM: Tensor) -> Tensor:
    return torch.sigmoid(logits_BM - threshold_B1).masked_fill(~valid_BM, 0).sum(-1, keepdim=True)


def _checked_k(k: int) -> int:
    check_number("k", k, least=1, whole=True)
    return k


def _checked_top(top: int, k: int) -> int:
    check_number("relaxation.top", top, above=k, whole=True)
    return top


def _positive(where: str, value: float) -> float:
    check_number(where, value, above=0)
    return value
