"""Putting a recommender together from its configured parts and a catalogue's texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from divrec.models.encoder import TextEncoder, Whitening
from divrec.models.item import ItemShape, ItemTower, Representation, Start
from divrec.models.recommender import Recommender
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
        user: `dim`, `event_kinds` and, where the data has profiles, `profiles_PW` -> user encoder.
        dim: width of item and user vectors.
        hidden: width of the text projection's hidden layer.
        representation: what an item vector is made of: `text`, `id` or `text_id`, the sum of both.
        id_dropout: share of items whose ID part is left out of a training step; larger = vectors lean on text. Above 0,
            items without training events have text alone.
        popularity_bias: whether each item has a score for everybody, trained from the logarithm of its training
            events; the vectors then have only taste to explain.
        start: of the part that is text: `random`, or `text`, the frozen text vector, to which training adds.
    """

    def __init__(
        self,
        user: Callable[..., nn.Module],
        dim: int = 64,
        hidden: int = 128,
        representation: Representation = "text_id",
        id_dropout: float = 0.0,
        popularity_bias: bool = True,
        start: Start = "random",
    ) -> None:
        self.user, self.popularity_bias = user, popularity_bias
        self.shape = ItemShape(dim, hidden, representation, id_dropout, start)

    def __call__(
        self,
        encoder: TextEncoder,
        tuning: Tuning,
        texts: ItemTexts,
        event_kinds: int,
        counts_N: Tensor,
        profiles_PW: Tensor | None = None,
    ) -> Recommender:
        """Build the recommender with fresh weights.

        Args:
            encoder: the language model.
            tuning: how far it is trained along.
            texts: the catalogue's texts.
            event_kinds: number of event kinds.
            counts_N: training events of each item.
            profiles_PW: whitened vectors of the users' profile texts; None = the data has none.
        """
        user = self.user if profiles_PW is None else partial(self.user, profiles_PW=profiles_PW)
        reads_text = self.shape.representation != "id"
        tower = tuning(encoder, texts.texts, texts.whitening, texts.vectors_TW) if reads_text else None
        items = ItemTower(tower, texts.text_of_item_N, texts.whitening.width, self.shape, counts_N)
        logarithm_N = (counts_N.float() + 1).log()
        bias_N = logarithm_N - logarithm_N.mean() if self.popularity_bias else None
        return Recommender(items, user(dim=self.shape.dim, event_kinds=event_kinds), bias_N)
