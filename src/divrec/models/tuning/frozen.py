"""The language model as it is.

Shapes: T distinct texts, R of them, W whitened width.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from divrec.models.encoder import TextEncoder, Whitening


class Frozen:
    """The language model stays as it is; its vectors are computed once and cached."""

    def __call__(
        self, encoder: TextEncoder, texts: Sequence[str], whitening: Whitening, vectors_TW: Tensor
    ) -> nn.Module:
        """A tower that holds the vectors; they are not saved with a run."""
        return FixedVectors(vectors_TW)


class FixedVectors(nn.Module):
    """The text tower of a frozen language model.

    Args:
        vectors_TW: whitened unit vectors of the distinct texts.
    """

    vectors_TW: Tensor

    def __init__(self, vectors_TW: Tensor) -> None:
        super().__init__()
        self.register_buffer("vectors_TW", vectors_TW, persistent=False)

    @property
    def trainable_plm_parameters(self) -> int:
        """Weights of the language model that are trained: none."""
        return 0

    def forward(self, texts_R: Tensor | None = None, live_R: Tensor | None = None) -> Tensor:
        """The vectors of these texts (None = all), (R, W); `live_R` is for towers that train."""
        return self.vectors_TW if texts_R is None else self.vectors_TW[texts_R]
