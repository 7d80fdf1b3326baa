"""A score for two texts that a language model reads together.

Shapes: X pairs, W tokens, D width of the language model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from divrec.errors import ConfigError
from divrec.models.encoder import TextEncoder, pool
from divrec.models.tuning.layers import layer_stack

_CHUNK = 64  # pairs that pass through the model at once


class PairScorer(nn.Module):
    """The language model's pooled vector of a pair, through a linear layer.

    What is not trained is not part of the state: a run stores its head and the trained layers.

    Args:
        encoder: the language model; it is trained in place.
        trained_layers: last layers that are trained along; 0 = none.
        max_tokens: of both texts together; the longer one is cut first.

    Raises:
        ConfigError: the model has fewer layers.
    """

    def __init__(self, encoder: TextEncoder, trained_layers: int, max_tokens: int) -> None:
        super().__init__()
        self.plm, self._tokenizer = encoder.load()
        self.max_tokens, self._pooling = max_tokens, encoder.pooling
        self.plm.requires_grad_(False)
        layers = layer_stack(self.plm)
        if trained_layers > len(layers):
            raise ConfigError(
                f"the language model has {len(layers)} layers", where="model.trained_layers", got=trained_layers
            )
        for layer in layers[len(layers) - trained_layers :]:
            layer.requires_grad_(True)
        self.plm.train()  # Lightning keeps the mode it finds
        self.head = nn.Linear(self.plm.config.hidden_size, 1)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        frozen = {name for name, each in self.plm.named_parameters(prefix="plm") if not each.requires_grad}
        frozen |= {name for name, _ in self.plm.named_buffers(prefix="plm")}
        self._frozen = frozenset(frozen)
        self.register_state_dict_post_hook(_leave_out)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_not_missing)  # type: ignore[no-untyped-call]

    def forward(self, first: Sequence[str], second: Sequence[str]) -> Tensor:
        """Scores (X,) of the pairs; sorted by length inside to save padding."""
        order = sorted(range(len(first)), key=lambda place: len(first[place]) + len(second[place]))
        chunks = [order[start : start + _CHUNK] for start in range(0, len(order), _CHUNK)]
        parts = [self._score([first[place] for place in chunk], [second[place] for place in chunk]) for chunk in chunks]
        scores_X = torch.cat(parts) if parts else self.head.weight.new_zeros(0)
        return scores_X[torch.tensor(order, dtype=torch.int64).argsort().to(scores_X.device)]

    def _score(self, first: list[str], second: list[str]) -> Tensor:
        tokens = self._tokenizer(
            first, second, padding=True, truncation="longest_first", max_length=self.max_tokens, return_tensors="pt"
        )
        on_device = {name: ids.to(self.head.weight.device) for name, ids in tokens.items()}
        return self.head(pool(self.plm, on_device, self._pooling)).squeeze(-1)


def _leave_out(module: nn.Module, state: dict[str, Any], prefix: str, _: Mapping[str, Any]) -> None:
    assert isinstance(module, PairScorer)
    for name in module._frozen:
        state.pop(prefix + name, None)


def _not_missing(module: nn.Module, keys: Any) -> None:  # noqa: ANN401 - torch's pair of lists
    assert isinstance(module, PairScorer)
    keys.missing_keys[:] = [
        name for name in keys.missing_keys if not any(name.endswith(each) for each in module._frozen)
    ]
