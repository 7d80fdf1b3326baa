"""Processes that each hold a piece of every weight have to run the pieces' owners equally often, or they wait forever.

A module whose weights lie in pieces on several devices (torch's `fully_shard`) gathers them in each pass, forward and
backward, and every process has to take part. How many texts a process encodes depends on its share of the batch.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed import ReduceOp, all_reduce
from torch.distributed.fsdp import FSDPModule


def is_sharded(module: nn.Module) -> bool:
    """Whether the weights of a module, or of a part of it, lie in pieces on several devices."""
    return any(isinstance(part, FSDPModule) for part in module.modules())


def most_of_all(count: int, device: torch.device) -> int:
    """The largest count of any process; each has to ask at the same time.

    Args:
        count: of this process.
        device: that the processes talk through.
    """
    largest = torch.tensor(count, device=device)
    all_reduce(largest, ReduceOp.MAX)
    return int(largest)
