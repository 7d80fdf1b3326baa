"""Item vectors out of text, of an ID embedding, or of both.

Shapes: T distinct texts, W whitened width, N items, R some of them, D dimension.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from divrec.errors import ConfigError, check_number

Representation = Literal["text", "id", "text_id"]
Start = Literal["random", "text"]
_TEXT_GAIN = 10**0.5  # of unit vectors that start as text: ten times their cosine is a softmax that learns


@dataclass(frozen=True)
class ItemShape:
    """What an item vector is made of.

    Attributes:
        dim: D.
        hidden: width of the text projection's hidden layer.
        representation: `text` (new items are ranked by it; on a par only with `spare_new=true`, for a training that
            compares targets with items without events teaches that these come last), `id` (a vector of its own for each
            item; knows no text), or `text_id`, the sum of both.
        id_dropout: share of items whose ID part is left out of a training step; larger = vectors lean on text. Above 0,
            items without training events have text alone.
        start: of the part that is text. `random` = a projection of random weights; `text` = the frozen text vector
            itself, to which training adds a correction. Where items are text alone and the user encoder starts as a
            mean, new items are ranked by their cosine to the history before the first step. `dim` is then the width of
            the text vectors.

    Raises:
        ConfigError: for an unknown representation or start, or a share that is none.
    """

    dim: int = 64
    hidden: int = 128
    representation: Representation = "text_id"
    id_dropout: float = 0.0
    start: Start = "random"

    def __post_init__(self) -> None:
        """Check at the door."""
        if self.representation not in ("text", "id", "text_id"):
            raise ConfigError(
                "no such representation",
                where="model.representation",
                got=self.representation,
                mend="Use text, id or text_id.",
            )
        if self.start not in ("random", "text"):
            raise ConfigError("no such start", where="model.start", got=self.start, mend="Use random or text.")
        if self.start == "text" and self.representation == "id":
            raise ConfigError(
                "an item is no text here", where="model.start", got=self.start, mend="Set model.representation=text."
            )
        check_number("model.id_dropout", self.id_dropout, least=0, below=1)
        if self.id_dropout and self.representation != "text_id":
            raise ConfigError(
                "there is no text that could stand in for the ID",
                where="model.id_dropout",
                got=self.id_dropout,
                mend="Set it to 0, or model.representation=text_id.",
            )


class ItemTower(nn.Module):
    """item = projection of its text vector + ID embedding, or one of the two.

    Args:
        text_tower: (texts_R, live_R) -> whitened text vectors of those distinct texts, None = all; only those of
            `live_R` have to carry gradient. Not asked with `representation: id`.
        text_of_item_N: for each item its text's place among the distinct ones.
        width: W.
        shape: what the vectors are made of.
        counts_N: training events of each item.

    Raises:
        ConfigError: the vectors are to start as text and have another width.
    """

    text_of_item_N: Tensor
    known_N: Tensor

    def __init__(
        self, text_tower: nn.Module | None, text_of_item_N: Tensor, width: int, shape: ItemShape, counts_N: Tensor
    ) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("text_of_item_N", text_of_item_N, persistent=False)
        self.register_buffer("known_N", counts_N > 0, persistent=False)
        reads_text = shape.representation != "id"
        self.text_tower = text_tower if reads_text else None
        if reads_text:
            self.project = _projection(width, shape)
        has_id = shape.representation != "text"
        self.identity = nn.Embedding(len(text_of_item_N), shape.dim) if has_id else None
        if reads_text:
            # Unit text vectors come in; a random start is as small as the ID embedding's: the softmax starts flat.
            # One number in a vector: torch cannot spread a parameter without dimensions over devices.
            self.scale = nn.Parameter(torch.tensor([0.1 if shape.start == "random" else _TEXT_GAIN]))
            self.register_load_state_dict_pre_hook(_with_a_dimension)  # type: ignore[no-untyped-call]
        if self.identity is not None:
            nn.init.normal_(self.identity.weight, std=0.02)

    def forward(self, items_R: Tensor | None = None, live_items: Tensor | None = None) -> Tensor:
        """Item vectors.

        Args:
            items_R: rows of the catalogue; None = all of them.
            live_items: items whose texts have to pass through a language model that is being trained, in order of
                importance; others may come from its table. None = all.

        Returns:
            (R, D), or (N, D).
        """
        parts = []
        if self.text_tower is not None:
            parts.append(self._from_text(items_R, live_items))
        if self.identity is not None:
            parts.append(self._from_id(items_R))
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def _from_text(self, items_R: Tensor | None, live_items: Tensor | None) -> Tensor:
        assert self.text_tower is not None
        live_T = None if live_items is None else self.text_of_item_N[live_items]
        if items_R is None:
            return (self.scale * self.project(self.text_tower(None, live_T)))[self.text_of_item_N]
        texts_T, place_R = torch.unique(self.text_of_item_N[items_R], return_inverse=True)
        return (self.scale * self.project(self.text_tower(texts_T, live_T)))[place_R]

    def _from_id(self, items_R: Tensor | None) -> Tensor:
        assert self.identity is not None
        ids_RD = self.identity.weight if items_R is None else self.identity(items_R)
        if not self.shape.id_dropout:
            return ids_RD
        known_R = self.known_N if items_R is None else self.known_N[items_R]
        if self.training:
            known_R = known_R & (torch.rand(known_R.shape, device=known_R.device) >= self.shape.id_dropout)
        return ids_RD * known_R.unsqueeze(-1)


class _Corrected(nn.Sequential):
    """What comes in, plus what the layers make of it: nothing at the start."""

    def forward(self, vectors_RW: Tensor) -> Tensor:
        corrections_RW: Tensor = super().forward(vectors_RW)  # type: ignore[no-untyped-call]
        return vectors_RW + corrections_RW


def _projection(width: int, shape: ItemShape) -> nn.Sequential:
    last = nn.Linear(shape.hidden, shape.dim)
    layers = nn.Linear(width, shape.hidden), nn.GELU(), last
    if shape.start == "random":
        return nn.Sequential(*layers)
    if shape.dim != width:
        raise ConfigError(
            "vectors that start as text are as wide as it", where="model.dim", got=shape.dim, mend=f"Set it to {width}."
        )
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return _Corrected(*layers)


def _with_a_dimension(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:  # noqa: ANN401
    """Weights that were saved when the scale had no dimension fit too."""
    name = f"{prefix}scale"
    if name in state and state[name].ndim == 0:
        state[name] = state[name].reshape(1)
