"""How large the gradient of one term of the loss is, whoever holds the weights: a process, all, or each a piece."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, distributed
from torch.distributed.tensor import DTensor

from divrec.objectives.processes import mean_over_processes


class GradientNorm:
    """The root mean square norm of a term's gradient, over batches of any size, as batches of a given one have it.

    Of batches of B users, E |g|^2 = |G|^2 + V / B: the expected gradient and the noise of a batch, which shrinks as
    batches grow. Different batches share G alone, so the products of their gradients tell it from the noise: of n
    batches, |sum g|^2 - sum |g|^2 is n (n - 1) |G|^2 on average (the gradient noise scale of McCandlish et al. 2018,
    arXiv:1812.06162).

    Args:
        parameters: all that are trained. Either all or none of them lie in pieces on several devices (torch's
            `fully_shard`).
    """

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.parameters = parameters
        self.batches = 0
        self._squares = [0.0] * len(parameters)
        self._sums: list[Tensor] = []

    def add(self, term: Tensor) -> None:
        """Count a batch in.

        Args:
            term: a scalar, of the whole batch, of which each process has a part; its graph is kept. Pieces of
                parameters have to carry no gradient yet, and carry none afterwards.
        """
        gradients = _gradients(term, self.parameters)
        squares = _squares(gradients, self.parameters)
        self._squares = [a + b for a, b in zip(self._squares, squares, strict=True)]
        self._sums = [a + b for a, b in zip(self._sums, gradients, strict=True)] if self._sums else gradients
        self.batches += 1

    def of_batches(self, parameters: Sequence[Tensor] | None = None) -> float:
        """As the batches themselves have it, on all parameters or on some of them."""
        wanted = {id(each) for each in (self.parameters if parameters is None else parameters)}
        squares = sum(s for s, each in zip(self._squares, self.parameters, strict=True) if id(each) in wanted)
        return float((squares / self.batches) ** 0.5)

    def of_larger_batches(self, times: float) -> float:
        """As batches have it that are so many times as large; smaller ones for less than 1.

        A single batch cannot tell expectation from noise: it is taken as it is.
        """
        mean = sum(self._squares) / self.batches
        if self.batches < 2:
            return float(mean**0.5)
        together = sum(_squares(self._sums, self.parameters))
        expected = (together - sum(self._squares)) / (self.batches * (self.batches - 1))
        expected = min(max(expected, 0.0), mean)  # an estimate, which may fall outside of what is possible
        return float((expected + (mean - expected) / times) ** 0.5)


def _gradients(term: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The gradient on the whole batch, by parameter; of pieces, the piece that this process holds."""
    if any(isinstance(parameter, DTensor) for parameter in parameters):
        return _of_pieces(term, parameters)
    if not term.requires_grad:
        return [torch.zeros_like(parameter) for parameter in parameters]
    gradients = torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
    return [mean_over_processes(_or_zero(each, like)) for each, like in zip(gradients, parameters, strict=True)]


def _of_pieces(term: Tensor, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The graph knows the gathered weights only; each piece gets its part of the processes' mean gradient by hooks."""
    if term.requires_grad:
        torch.autograd.backward(term, retain_graph=True)
    pieces = []
    for parameter in parameters:
        gradient = parameter.grad
        pieces.append(gradient.to_local().clone() if isinstance(gradient, DTensor) else term.new_zeros(()))
        parameter.grad = None
    return pieces


def _squares(gradients: Sequence[Tensor], parameters: Sequence[Tensor]) -> list[float]:
    """Squared Euclidean norms, by parameter."""
    if not any(isinstance(parameter, DTensor) for parameter in parameters):
        return [float(gradient.double().square().sum()) for gradient in gradients]
    totals = torch.stack([gradient.double().square().sum() for gradient in gradients])
    distributed.all_reduce(totals)
    return [float(total) for total in totals]


def _or_zero(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if gradient is None else gradient
