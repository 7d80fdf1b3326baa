"""How large the gradient of one term of the loss is, whoever holds the weights: a process, all, or each a piece."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor

from divrec.objectives.processes import mean_over_processes


def squared_norms(term: Tensor, parameters: Sequence[Tensor]) -> list[float]:
    """Squared Euclidean norm, by parameter, of a term's gradient on the whole batch, of which each process has a part.

    Args:
        term: a scalar; its graph is kept.
        parameters: all that are trained. Either all or none of them lie in pieces on several devices (torch's
            `fully_shard`); pieces have to carry no gradient yet, and carry none afterwards.
    """
    if any(isinstance(parameter, DTensor) for parameter in parameters):
        return _of_pieces(term, parameters)
    if not term.requires_grad:
        return [0.0] * len(parameters)
    gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
    whole = (mean_over_processes(_or_zero(each, like)) for each, like in zip(gradients, parameters, strict=True))
    return [float(gradient.square().sum()) for gradient in whole]


def _of_pieces(term: Tensor, parameters: Sequence[Tensor]) -> list[float]:
    """The graph knows the gathered weights only; each piece gets its part of the processes' mean gradient by hooks."""
    totals = torch.zeros(len(parameters), device=term.device, dtype=torch.float64)
    if term.requires_grad:
        torch.autograd.backward(term, retain_graph=True)
    for place, parameter in enumerate(parameters):
        if isinstance(parameter.grad, DTensor):
            totals[place] = parameter.grad.to_local().square().sum()
        parameter.grad = None
    distributed.all_reduce(totals)
    return [float(total) for total in totals]


def _or_zero(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if gradient is None else gradient
