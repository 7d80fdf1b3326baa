"""What a tuning is: a builder of the text tower that stands between the item texts and the recommender."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from divrec.models.encoder import TextEncoder, Whitening


class Tuning(Protocol):
    """Builds the text tower.

    A text tower is a module whose `forward(texts_R=None, live_R=None)` gives the whitened unit vectors (R, W) of the
    distinct texts with those indices (None = all T, in order). `live_R` are the texts whose vectors should carry
    gradient to the language model in this step; others may come from a table, without. It has the property
    `trainable_plm_parameters`.
    """

    def __call__(
        self, encoder: TextEncoder, texts: Sequence[str], whitening: Whitening, vectors_TW: Tensor
    ) -> nn.Module:
        """Build it.

        Args:
            encoder: the language model.
            texts: the catalogue's distinct texts.
            whitening: fitted on the untrained model's vectors, and fixed.
            vectors_TW: the untrained model's whitened vectors.
        """
        ...
