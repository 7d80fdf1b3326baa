"""What the processes that share a batch have to do at the same time, or they wait for each other forever.

A module whose weights lie in pieces on several devices (torch's `fully_shard`) gathers them in each pass, forward and
backward, and every process has to take part. How many texts a process encodes depends on its share of the batch. And
whatever way the weights lie, a text that is live for one process is scored by all: its vector has to be the same
everywhere, with gradient from everywhere, or the processes' mean gradient is not that of the whole batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import FunctionCtx
from torch.distributed.fsdp import FSDPModule


def is_sharded(module: nn.Module) -> bool:
    """Whether the weights of a module, or of a part of it, lie in pieces on several devices."""
    return any(isinstance(part, FSDPModule) for part in module.modules())


def place_of_process() -> tuple[int, int]:
    """Number of this process among those that share the batches, and how many they are; (0, 1) for one alone."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def most_of_all(count: int, device: torch.device) -> int:
    """The largest count of any process; each has to ask at the same time.

    Args:
        count: of this process.
        device: that the processes talk through.
    """
    largest = torch.tensor(count, device=device)
    distributed.all_reduce(largest, distributed.ReduceOp.MAX)
    return int(largest)


def union_over_processes(numbers: Tensor, size: int) -> Tensor:
    """The numbers that any process has, ascending; as they came where there is one process.

    Args:
        numbers: of this process, below `size`; any order.
        size: the same in each process.
    """
    if place_of_process()[1] == 1:
        return numbers
    is_held = torch.zeros(size, dtype=torch.uint8, device=numbers.device)
    is_held[numbers] = 1
    distributed.all_reduce(is_held, distributed.ReduceOp.MAX)
    return is_held.nonzero().squeeze(-1)


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of all processes' values; the gradient of each is the sum of all processes' gradients.

    Args:
        value: of the same shape in each process. Each has to go back through it, too.
    """
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, value: Tensor) -> Tensor:
        return _summed(value)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Tensor:
        return _summed(gradients[0])


def _summed(value: Tensor) -> Tensor:
    total = value.contiguous().clone()
    distributed.all_reduce(total)
    return total
