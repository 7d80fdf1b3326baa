"""The stack of layers inside a language model of any family, and how to cut it in two.

Shapes: R texts, W tokens, D width of the model.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from divrec.errors import ConfigError


def layer_stack(model: nn.Module) -> nn.ModuleList:
    """The model's layers, lowest first.

    Raises:
        ConfigError: if they cannot be told.
    """
    count = model.config.num_hidden_layers  # type: ignore[union-attr]
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise ConfigError(
        "cannot tell the layers of this language model", where="tuning", got=type(model).__name__, mend="Use another."
    )


def first_trained_layer(model: nn.Module, top_layers: int, key: str) -> int:
    """Number of the lowest of the top layers, counted from 0.

    Args:
        model: whole.
        top_layers: how many of them, at least 1.
        key: the config key that says so.

    Raises:
        ConfigError: if the model has fewer layers.
    """
    count = len(layer_stack(model))
    if top_layers > count:
        raise ConfigError(f"the language model has {count} layers only", where=key, got=top_layers)
    return count - top_layers


class GivenStates(nn.Module):
    """Stands where lower layers stood and gives the hidden states that they gave before.

    Args:
        extras: how many further values a layer of this family returns beside its hidden states; None = it returns
            the states alone, not in a tuple.
    """

    def __init__(self, extras: int | None) -> None:
        super().__init__()
        self.extras = extras
        self.states_RWD: Tensor | None = None

    def forward(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401 - each family calls its layers in its own way
        """The given states, whatever comes in."""
        return self.states_RWD if self.extras is None else (self.states_RWD, *[None] * self.extras)


def cut_below(model: nn.Module, first: int, extras: int | None) -> GivenStates:
    """Replace the layers below `first` by one that gives stored states.

    Args:
        model: changed in place.
        first: number of the lowest layer that stays.
        extras: see `GivenStates`.
    """
    stack, given = layer_stack(model), GivenStates(extras)
    kept = list(stack)[first:]
    _keep_position_bias(stack[0], kept[0])
    config: Any = model.config
    del stack[:]
    stack.extend([given, *kept])
    config.num_hidden_layers = len(stack)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[first], *config.layer_types[first:]]
    return given


def _keep_position_bias(lowest: nn.Module, kept: nn.Module) -> None:
    """T5 computes its position bias in the lowest layer, for all: the lowest that stays takes this over."""
    if lowest is kept:
        return
    for name, module in lowest.named_modules():
        if getattr(module, "has_relative_attention_bias", False):
            heir: Any = kept.get_submodule(name)
            heir.has_relative_attention_bias = True
            heir.relative_attention_bias = module.relative_attention_bias
