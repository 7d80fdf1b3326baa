"""From text numbers to pooled vectors, with gradient: through the whole model, or its top on stored hidden states.

Shapes: T texts, R of them, W tokens, D width of the model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from divrec.models.encoder.pooling import pool, pool_states
from divrec.models.tuning.layers import GivenStates
from divrec.models.tuning.ragged import Ragged


class WholeModel(nn.Module):
    """Token ids through every layer.

    Args:
        plm: the language model.
        ids: token ids of the T texts.
        pooling: mean, cls or last.
    """

    def __init__(self, plm: nn.Module, ids: Ragged, pooling: str) -> None:
        super().__init__()
        self.plm, self.ids, self.pooling = plm, ids, pooling

    @property
    def lengths(self) -> Tensor:
        """Tokens of each text, (T,)."""
        return self.ids.lengths_T

    def forward(self, texts_R: Tensor) -> Tensor:
        """Pooled vectors (R, D) in fp32."""
        ids_RW, mask_RW = self.ids(texts_R)
        return pool(self.plm, {"input_ids": ids_RW, "attention_mask": mask_RW}, self.pooling).float()


class TopOfModel(nn.Module):
    """Stored hidden states through the layers above them.

    Args:
        plm: a language model whose lower layers were replaced by `given`.
        given: takes the stored states.
        states: hidden states of the T texts.
        pooling: mean, cls or last.
    """

    def __init__(self, plm: nn.Module, given: GivenStates, states: Ragged, pooling: str) -> None:
        super().__init__()
        self.plm, self.states, self.pooling = plm, states, pooling
        self._given: Any = (given,)  # owned by plm

    @property
    def lengths(self) -> Tensor:
        """Tokens of each text, (T,)."""
        return self.states.lengths_T

    def forward(self, texts_R: Tensor) -> Tensor:
        """Pooled vectors (R, D) in fp32."""
        states_RWD, mask_RW = self.states(texts_R)
        (given,) = self._given
        given.states_RWD = states_RWD.to(next(self.plm.parameters()).dtype)
        # The embeddings of these ids are computed and thrown away: cheaper than knowing each family's inside.
        ids_RW = torch.zeros_like(mask_RW)
        hidden_RWD = self.plm(input_ids=ids_RW, attention_mask=mask_RW).last_hidden_state
        given.states_RWD = None
        return pool_states(hidden_RWD, mask_RW, self.pooling).float()
