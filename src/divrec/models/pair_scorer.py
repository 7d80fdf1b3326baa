"""A score for two texts that a language model reads together.

Shapes: X pairs, D width of the language model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from divrec.errors import ConfigError
from divrec.models.encoder import TextEncoder, check_trainable_weights, pool
from divrec.models.encoder.pairs import PairTokens, pair_tokens
from divrec.models.encoder.positions import check_positions
from divrec.models.tuning.layers import layer_stack

_CHUNK = 64  # pairs that pass through the model at once


class PairScorer(nn.Module):
    """The language model's pooled vector of a pair, through a linear layer.

    What is not trained is not part of the state: a run stores its head and the trained layers.

    Args:
        encoder: where the language model comes from, and how it computes and pools; its prompt stands before each
            pair. It gives its model away: what it encodes afterwards, it encodes with untrained weights.
        trained_layers: last layers that are trained along; 0 = none.
        max_tokens: of the prompt and both texts together; the longer text is cut first.

    Raises:
        ConfigError: the model has fewer layers or positions, or its weights cannot be trained.
    """

    def __init__(self, encoder: TextEncoder, trained_layers: int, max_tokens: int) -> None:
        super().__init__()
        check_trainable_weights(encoder.runtime)
        self.max_tokens, self._pooling, self._prompt = max_tokens, encoder.pooling, encoder.prompt
        self.plm, self._tokenizer = encoder.hand_over()
        check_positions(self.plm, max_tokens, "model.max_tokens", max_tokens)
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
        """Scores (X,) of the pairs in fp32; sorted by length inside to save padding."""
        texts = [(self._prompt + one, other) for one, other in zip(first, second, strict=True)]
        pairs = pair_tokens(self._tokenizer, self.plm.config, texts, self.max_tokens)
        order = sorted(range(len(pairs.ids)), key=lambda place: len(pairs.ids[place]))
        chunks = [order[start : start + _CHUNK] for start in range(0, len(order), _CHUNK)]
        parts = [self._score(pairs, chunk) for chunk in chunks]
        scores_X = torch.cat(parts) if parts else self.head.weight.new_zeros(0)
        return scores_X[torch.tensor(order, dtype=torch.int64).argsort().to(scores_X.device)]

    def _score(self, pairs: PairTokens, chunk: list[int]) -> Tensor:
        device = self.head.weight.device
        tokens = pairs.batch(chunk, int(self._tokenizer.pad_token_id))
        vectors_XD = pool(self.plm, {name: ids.to(device) for name, ids in tokens.items()}, self._pooling).float()
        with torch.autocast(device.type, enabled=False):  # half precision has too few scores for an order
            return self.head(vectors_XD).squeeze(-1)


def _leave_out(module: nn.Module, state: dict[str, Any], prefix: str, _: Mapping[str, Any]) -> None:
    assert isinstance(module, PairScorer)
    for name in module._frozen:
        state.pop(prefix + name, None)


def _not_missing(module: nn.Module, keys: Any) -> None:  # noqa: ANN401 - torch's pair of lists
    assert isinstance(module, PairScorer)
    keys.missing_keys[:] = [
        name for name in keys.missing_keys if not any(name.endswith(each) for each in module._frozen)
    ]
