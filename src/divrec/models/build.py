"""Putting a recommender together from its configured parts and a catalogue's texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from divrec.models.encoder import TextEncoder, Whitening
from divrec.models.recommender import ItemTower, Recommender
from divrec.models.tuning import Tuning, distinct, text_vectors


@dataclass(frozen=True)
class ItemTexts:
    """The catalogue's texts and their frozen vectors.

    Attributes:
        texts: the distinct texts.
        text_of_item_N: for each item its text's place among them.
        whitening: fitted on the distinct texts.
        vectors_TW: their whitened unit vectors, before any training.
    """

    texts: list[str]
    text_of_item_N: Tensor
    whitening: Whitening
    vectors_TW: Tensor

    @classmethod
    def encode(cls, encoder: TextEncoder, texts: Sequence[str], cache: Path, width: int = 128) -> ItemTexts:
        """Encode a catalogue's texts (N of them, with repeats), from the cache where they are known.

        Args:
            encoder: the language model.
            texts: one text an item.
            cache: folder of vectors, named by content.
            width: components kept by the whitening.
        """
        unique, text_of_item_N = distinct(texts)
        whitening, vectors_TW = text_vectors(encoder, unique, width, cache)
        return cls(unique, text_of_item_N, whitening, vectors_TW)

    @property
    def item_vectors(self) -> Tensor:
        """The frozen vector of every item, (N, W)."""
        return self.vectors_TW[self.text_of_item_N]


class TwoTower:
    """Recipe of the two-tower recommender.

    Args:
        user: `dim`, `event_kinds` -> user encoder.
        dim: width of item and user vectors.
        hidden: width of the text projection's hidden layer.
        id_embedding: whether each item has a vector of its own beside its text.
    """

    def __init__(
        self, user: Callable[..., nn.Module], dim: int = 64, hidden: int = 128, id_embedding: bool = True
    ) -> None:
        self.user, self.dim, self.hidden, self.id_embedding = user, dim, hidden, id_embedding

    def __call__(self, encoder: TextEncoder, tuning: Tuning, texts: ItemTexts, event_kinds: int) -> Recommender:
        """Build the recommender with fresh weights."""
        tower = tuning(encoder, texts.texts, texts.whitening, texts.vectors_TW)
        items = ItemTower(tower, texts.text_of_item_N, texts.whitening.width, self.dim, self.hidden, self.id_embedding)
        return Recommender(items, self.user(dim=self.dim, event_kinds=event_kinds))
