"""torch.compile of a model, so that the gradients of a step can still be taken term by term."""

from __future__ import annotations

import torch._functorch.config
from torch import nn


def compile_in_place(model: nn.Module) -> None:
    """Compile a model's forward pass, and with it the backward pass.

    A compiled backward pass gives its buffers away, so that torch refuses to go through it twice; the gradient ratios
    are measured with one pass for each term. It keeps them here.

    Args:
        model: changed in place.
    """
    torch._functorch.config.donated_buffer = False
    model.compile()
