"""The tables of text vectors inside a model, which follow a language model in training."""

from __future__ import annotations

from torch import nn

from divrec.models import TextTable


def text_tables(model: nn.Module) -> dict[str, TextTable]:
    """By dotted name."""
    return {name: part for name, part in model.named_modules() if isinstance(part, TextTable)}
