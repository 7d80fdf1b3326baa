"""From the hidden states of a text's tokens to one vector.

Shapes: T texts, W tokens, D width of the model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from divrec.errors import ConfigError

POOLINGS = ("mean", "cls", "last")


def pool_states(hidden_TWD: Tensor, mask_TW: Tensor, pooling: str = "mean") -> Tensor:
    """One vector a text, (T, D).

    Args:
        hidden_TWD: last hidden states.
        mask_TW: 1 for real tokens, 0 for padding, which may lie on either side.
        pooling: `mean` of the real tokens, `cls` = the first of them, `last` = the last of them, the only one that a
            decoder lets see the whole text.
    """
    if pooling == "mean":
        mask_TW1 = mask_TW.unsqueeze(-1).to(hidden_TWD.dtype)
        return (hidden_TWD * mask_TW1).sum(1) / mask_TW1.sum(1).clamp(min=1)
    real_TW = mask_TW.long()
    if pooling == "cls":
        place_T = real_TW.argmax(1)
    else:
        place_T = (real_TW * torch.arange(mask_TW.shape[1], device=mask_TW.device)).argmax(1)
    return hidden_TWD[torch.arange(len(hidden_TWD), device=hidden_TWD.device), place_T]


def pool(model: nn.Module, tokens: dict[str, Tensor], pooling: str = "mean") -> Tensor:
    """The model's pooled last hidden states, (T, D); carries gradient if the model's do."""
    return pool_states(model(**tokens).last_hidden_state, tokens["attention_mask"], pooling)


def natural_pooling(config: Any) -> str:  # noqa: ANN401 - each family has a config class of its own
    """What `auto` means for a model: `last` for decoders, `mean` for encoders and for the encoder side of T5."""
    return "last" if is_decoder(config) else "mean"


def is_decoder(config: Any) -> bool:  # noqa: ANN401
    """Whether tokens see only what stands before them: the family has a causal head and no masked-word head."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    kind = config.model_type
    causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return causal and not getattr(config, "is_encoder_decoder", False)


def check_pooling(pooling: str) -> None:
    """Refuse a pooling that does not exist.

    Raises:
        ConfigError: it is none of auto, mean, cls, last.
    """
    if pooling not in ("auto", *POOLINGS):
        raise ConfigError("must be auto, mean, cls or last", where="encoder.pooling", got=pooling)
