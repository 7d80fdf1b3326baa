"""What all tunings that train the language model share: the whole model or its top, the table, what is saved.

Shapes: T distinct texts, W whitened width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from divrec.errors import ConfigError, check_number
from divrec.models.encoder import TextEncoder, Whitening, check_trainable_weights
from divrec.models.text_table import TableSettings, TextTable
from divrec.models.tuning.hidden_states import hidden_states, layer_extras
from divrec.models.tuning.layers import cut_below, first_trained_layer
from divrec.models.tuning.ragged import Ragged
from divrec.models.tuning.readers import TopOfModel, WholeModel
from divrec.models.tuning.trained_only import store_trained_only

_SAME = 1e-2  # of the largest value: half precision moves vectors by about a tenth of it


class TrainedTuning(ABC):
    """A tuning that trains weights of the language model, or weights added to it.

    Args:
        table: how the vectors of the texts that carry no gradient stay up to date.
        cached_below_top: number n: only the n top layers are run, on hidden states of the layers below that are
            computed once and kept on disk; None = the whole model is run.
    """

    starts_as_frozen = True
    depth_key = "tuning.cached_below_top"  # the config key that sets how many layers are run
    adds_weights = False  # whether all that is trained stands beside the model's own weights

    def __init__(self, table: TableSettings | None = None, cached_below_top: int | None = None) -> None:
        if cached_below_top is not None:
            check_number(self.depth_key, cached_below_top, least=1, whole=True)
        self.table = table or TableSettings()
        self.cached_below_top = cached_below_top

    @abstractmethod
    def adapt(self, model: nn.Module) -> nn.Module:
        """Decide which weights are trained, and add some where the method does; all come in frozen.

        Args:
            model: the language model; with `cached_below_top` what is left of it.

        Returns:
            What is called in its place.
        """

    def __call__(
        self, encoder: TextEncoder, texts: Sequence[str], whitening: Whitening, vectors_TW: Tensor
    ) -> nn.Module:
        """A tower that owns the language model.

        Raises:
            ConfigError: if the encoder's backend or its number format cannot train, or the method does not fit the
                model.
        """
        check_trainable_weights(encoder.runtime, own=not self.adds_weights)
        pooling, rows = encoder.pooling, encoder.token_ids(texts)
        model, tokenizer = encoder.hand_over()
        model.requires_grad_(False)
        ids = Ragged.of_rows(rows, int(tokenizer.pad_token_id))
        if self.cached_below_top is None:
            reader: nn.Module = WholeModel(self._adapted(model), ids, pooling)
        else:
            reader = self._top(encoder, model, ids, texts, self.cached_below_top)
        tower = TextTable(reader, whitening, vectors_TW, self.table, self.starts_as_frozen)
        store_trained_only(tower)
        return tower.train()  # with dropout; Lightning keeps the mode it finds

    def _adapted(self, model: nn.Module) -> nn.Module:
        """The model after `adapt`, with its trained weights in fp32, however its own are held."""
        adapted = self.adapt(model)
        for parameter in adapted.parameters():
            if parameter.requires_grad and parameter.dtype != torch.float32:
                parameter.data = parameter.data.float()
        return adapted

    def _top(
        self, encoder: TextEncoder, model: nn.Module, ids: Ragged, texts: Sequence[str], top_layers: int
    ) -> TopOfModel:
        pooling, first = encoder.pooling, first_trained_layer(model, top_layers, self.depth_key)
        states = hidden_states(encoder, model, ids, texts, first)
        longest_1 = ids.lengths_T.argmax().unsqueeze(0)
        whole_1D = WholeModel(model, ids, pooling).eval()(longest_1)
        given = cut_below(model, first, layer_extras(model, ids))
        top_1D = TopOfModel(model, given, states, pooling).eval()(longest_1)
        if (whole_1D - top_1D).abs().max() > _SAME * whole_1D.abs().max():
            raise ConfigError(
                "the top of this language model cannot be run without the layers below",
                where=self.depth_key,
                got=top_layers,
                mend="Choose tuning.cached_below_top=null, or tuning=top_layers tuning.cached=false.",
            )
        return TopOfModel(self._adapted(model), given, states, pooling)
