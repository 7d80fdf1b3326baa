"""Matrix products of a model's linear layers through oneDNN while nobody needs a gradient.

PyTorch multiplies fp32 matrices on a CPU through MKL, which leaves the wide vector units of processors by other makers
idle; oneDNN, which comes with PyTorch too, uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_WIDTH = 512  # rows that a packed weight is laid out for; any other number of them works


@contextmanager
def packed_linears(model: nn.Module) -> Iterator[None]:
    """Inside the block the model's linear layers are faster on a CPU and carry no gradient.

    Weights are packed at the start and must not change inside. Results differ by rounding only. Nothing changes for
    other devices and number formats (autocast's too), for weights that lie in pieces on several devices, or where
    oneDNN is missing.

    Args:
        model: changed in place, and changed back at the end.
    """
    changed = [module for module in model.modules() if isinstance(module, nn.Linear) and _can_pack(module)]
    for linear in changed:
        linear.forward = _packed(linear)  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        for linear in changed:
            del linear.forward


def _can_pack(module: nn.Linear) -> bool:
    if type(module) is not nn.Linear or "forward" in vars(module):
        return False
    weight = module.weight
    return (
        type(weight) is nn.Parameter  # a piece is a DTensor
        and not torch.is_autocast_enabled("cpu")
        and weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _packed(linear: nn.Linear) -> Callable[[Tensor], Tensor]:
    weight, bias = linear.weight.detach(), None if linear.bias is None else linear.bias.detach()
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, _WIDTH)

    def forward(inputs: Tensor) -> Tensor:
        outputs: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, packed, bias, "none", [], "")
        return outputs

    return forward
