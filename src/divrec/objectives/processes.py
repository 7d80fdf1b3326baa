"""What a loss needs of the other processes, when several share every batch (DDP).

Their gradients are averaged. So that the average is the gradient of the whole batch, every sum has to be divided by the
whole batch's count over the number of processes, not by the count that one process happens to see.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed


def mean_over_processes(value: Tensor) -> Tensor:
    """The mean of a value over all processes, without gradient; the value itself where there is one process."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    with torch.no_grad():
        total = value.detach().clone()
        if not total.is_floating_point():
            total = total.float()
        distributed.all_reduce(total)
        return total / distributed.get_world_size()
