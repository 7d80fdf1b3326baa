"""The distinct texts of a catalogue and their whitened vectors.

Shapes: N items, T distinct texts, W whitened width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from divrec.models.encoder.text_encoder import TextEncoder
from divrec.models.encoder.whitening import Whitening


def distinct(texts: Sequence[str]) -> tuple[list[str], Tensor]:
    """The distinct texts in order of first appearance, and for each text its place among them."""
    places: dict[str, int] = {}
    index_N = torch.tensor([places.setdefault(text, len(places)) for text in texts])
    return list(places), index_N


def text_vectors(encoder: TextEncoder, texts: Sequence[str], width: int, cache: Path) -> tuple[Whitening, Tensor]:
    """The whitening fitted on the texts' vectors, and the whitened unit vectors (T, W).

    Args:
        encoder: the language model; it remembers the cache for whatever else it will keep there.
        texts: the distinct texts.
        width: components kept by the whitening.
        cache: folder of vectors, named by content.
    """
    if encoder.cache is None:
        encoder.cache = cache
    vectors_TD = encoder.encode_cached(texts, cache)
    whitening = Whitening(vectors_TD, width)
    return whitening, whitening(vectors_TD)
