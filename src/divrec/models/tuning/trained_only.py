"""A state dict that holds what is trained: frozen weights of a language model lie elsewhere already."""

from __future__ import annotations

from typing import Any

from torch import nn


def store_trained_only(module: nn.Module) -> None:
    """Leave frozen parameters out of the module's state dict; loading it, strictly too, keeps those at hand."""
    module.register_state_dict_post_hook(_drop_frozen)  # type: ignore[no-untyped-call]
    module.register_load_state_dict_pre_hook(_supply_frozen)  # type: ignore[no-untyped-call]


def _drop_frozen(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:  # noqa: ANN401
    for name in _left_out(module):
        state.pop(prefix + name, None)


def _supply_frozen(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:  # noqa: ANN401
    for name, tensor in _left_out(module).items():
        state.setdefault(prefix + name, tensor)


def _left_out(module: nn.Module) -> dict[str, Any]:
    return {
        name: parameter.detach()
        for name, parameter in module.named_parameters(remove_duplicate=False)
        if not parameter.requires_grad
    }
