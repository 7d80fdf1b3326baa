"""How large the gradient of one term of the loss is, whoever holds the weights: a process, all, or each a piece."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor

from divrec.objectives.processes import mean_over_processes


def squared_norm(term: Tensor, parameters: Sequence[Tensor]) -> float:
    """Squared Euclidean norm of a term's gradient on the whole batch, of which each process may have a part.

    Args:
        term: a scalar; its graph is kept.
        parameters: whose gradient counts. Either all or none of them lie in pieces on several devices (torch's
            `fully_shard`); pieces have to carry no gradient yet, and carry none afterwards.
    """
    if any(isinstance(parameter, DTensor) for parameter in parameters):
        return _of_pieces(term, parameters)
    if not term.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
    whole = (mean_over_processes(_or_zero(each, like)) for each, like in zip(gradients, parameters, strict=True))
    return sum(float(gradient.square().sum()) for gradient in whole)


def _of_pieces(term: Tensor, parameters: Sequence[Tensor]) -> float:
    """The graph knows the gathered weights only; each piece gets its part of the processes' mean gradient by hooks."""
    total = torch.zeros((), device=term.device, dtype=torch.float64)
    if term.requires_grad:
        torch.autograd.backward(term, retain_graph=True)
    for parameter in parameters:
        if isinstance(parameter.grad, DTensor):
            total += parameter.grad.to_local().square().sum()
        parameter.grad = None
    distributed.all_reduce(total)
    return float(total)


def _or_zero(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if gradient is None else gradient
