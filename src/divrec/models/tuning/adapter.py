"""Bottleneck adapters inside each layer.

Shapes: R texts, W tokens, D width of the model, H width of the bottleneck.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from divrec.errors import ConfigError, check_number
from divrec.models.text_table import TableSettings
from divrec.models.tuning.layers import layer_stack
from divrec.models.tuning.trained import TrainedTuning

# What ends a sub-layer before its residual connection, by family: BERT, RoBERTa and DeBERTa; GPT-2; Llama and Qwen; T5.
_LAST_PROJECTIONS = (
    ("attention.output.dense", "output.dense"),
    ("attn.c_proj", "mlp.c_proj"),
    ("self_attn.o_proj", "mlp.down_proj"),
    ("SelfAttention.o", "DenseReluDense.wo"),
)


class Adapter(TrainedTuning):
    """A narrow two-layer network after each sub-layer, before its residual (Houlsby et al. 2019, arXiv:1902.00751).

    Args:
        width: H of the bottleneck; more = more weights.
        table: how the vectors of the texts that carry no gradient stay up to date.
        cached_below_top: see `TrainedTuning`; the adapters then sit in the top layers only.
    """

    adds_weights = True

    def __init__(
        self, width: int = 16, table: TableSettings | None = None, cached_below_top: int | None = None
    ) -> None:
        super().__init__(table, cached_below_top)
        check_number("tuning.width", width, least=1, whole=True)
        self.width = width

    def adapt(self, model: nn.Module) -> nn.Module:
        """Add the adapters.

        Raises:
            ConfigError: for a family whose sub-layers are not known.
        """
        config: Any = model.config
        ends = [module for layer in layer_stack(model) for module in _ends(layer)]
        if not ends:
            raise ConfigError(
                "adapters do not know the sub-layers of this language model",
                where="tuning",
                got=config.model_type,
                mend="Choose tuning=lora with tuning.targets.",
            )
        for module in ends:
            module.add_module("adapter", Bottleneck(config.hidden_size, self.width))
            module.register_forward_hook(_through_adapter)
        return model


class Bottleneck(nn.Module):
    """x + up(gelu(down(x))); `up` starts at zero, so the model starts as it was.

    Args:
        dim: D.
        width: H.
    """

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(dim, width), nn.Linear(width, dim)
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, states_RWD: Tensor) -> Tensor:
        """States of the same shape and format."""
        change_RWD = self.up(nn.functional.gelu(self.down(states_RWD.to(self.down.weight.dtype))))
        return states_RWD + change_RWD.to(states_RWD.dtype)


def _ends(layer: nn.Module) -> list[nn.Module]:
    names = dict(layer.named_modules())
    return [
        module
        for pair in _LAST_PROJECTIONS
        for name, module in names.items()
        if any(name == end or (end[0].isupper() and name.endswith(f".{end}")) for end in pair)
    ]


def _through_adapter(module: nn.Module, _: Any, output: Tensor) -> Tensor:  # noqa: ANN401
    adapter: Any = module.adapter
    return adapter(output)
