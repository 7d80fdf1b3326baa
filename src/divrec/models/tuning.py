"""How far the language model is trained along: what stands between the item texts and the recommender's text vectors.

Shapes: T distinct texts, W whitened width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from divrec.models.encoder import TextEncoder, Whitening, pool


class Tuning(Protocol):
    """Builds the text tower: a module that gives the whitened vectors of the distinct texts.

    Its `forward(texts_R=None, live_R=None)` gives those of some texts, (R, W), or of all, (T, W); of a language model
    that is trained along, only the vectors of `live_R` have to carry gradient (None = all that are asked).
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


class Frozen:
    """The language model stays as it is; its vectors are computed once and cached."""

    def __call__(
        self, encoder: TextEncoder, texts: Sequence[str], whitening: Whitening, vectors_TW: Tensor
    ) -> nn.Module:
        """A tower that holds the vectors; they are not saved with a run."""
        return FixedVectors(vectors_TW)


class Full:
    """Every weight of the language model is trained, end to end through the recommender's loss.

    All distinct texts pass through the model at each step, so this suits small catalogues or large accelerators.

    Args:
        chunk: texts that pass through the model at once; activations are recomputed in the backward pass, so memory
            does not grow with the catalogue.
    """

    def __init__(self, chunk: int = 128) -> None:
        self.chunk = chunk

    def __call__(
        self, encoder: TextEncoder, texts: Sequence[str], whitening: Whitening, vectors_TW: Tensor
    ) -> nn.Module:
        """A tower that owns the language model."""
        return _LiveEncoder(encoder, texts, whitening, self.chunk)


class FixedVectors(nn.Module):
    """Text vectors that do not change; they are not saved with a run."""

    vectors_TW: Tensor

    def __init__(self, vectors_TW: Tensor) -> None:
        super().__init__()
        self.register_buffer("vectors_TW", vectors_TW, persistent=False)

    def forward(self, texts_R: Tensor | None = None, live_R: Tensor | None = None) -> Tensor:
        """The vectors of some texts, or of all."""
        return self.vectors_TW if texts_R is None else self.vectors_TW[texts_R]


class _LiveEncoder(nn.Module):
    def __init__(self, encoder: TextEncoder, texts: Sequence[str], whitening: Whitening, chunk: int) -> None:
        super().__init__()
        self.plm, _ = encoder.load()
        self.plm.train()  # with its dropout; Lightning keeps the mode it finds
        self.whitening = whitening
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        self.register_buffer("restore_T", torch.tensor(order).argsort(), persistent=False)
        self._tokens = [
            encoder.tokenize([texts[index] for index in order[start : start + chunk]])
            for start in range(0, len(order), chunk)
        ]

    restore_T: Tensor

    def forward(self, texts_R: Tensor | None = None, live_R: Tensor | None = None) -> Tensor:
        parts = [
            self._pooled({name: ids.to(self.restore_T.device) for name, ids in part.items()}) for part in self._tokens
        ]
        vectors_TW = self.whitening(torch.cat(parts)[self.restore_T])
        return vectors_TW if texts_R is None else vectors_TW[texts_R]

    def _pooled(self, tokens: dict[str, Tensor]) -> Tensor:
        if not torch.is_grad_enabled():
            return pool(self.plm, tokens)
        return checkpoint(pool, self.plm, tokens, use_reentrant=False)


def distinct(texts: Sequence[str]) -> tuple[list[str], Tensor]:
    """The distinct texts in order of first appearance, and for each text its place among them."""
    places: dict[str, int] = {}
    index_N = torch.tensor([places.setdefault(text, len(places)) for text in texts])
    return list(places), index_N


def text_vectors(encoder: TextEncoder, texts: Sequence[str], width: int, cache: Path) -> tuple[Whitening, Tensor]:
    """The whitening fitted on the texts' vectors, and the whitened unit vectors (T, W)."""
    vectors_TD = encoder.encode_cached(texts, cache)
    whitening = Whitening(vectors_TD, width)
    return whitening, whitening(vectors_TD)
