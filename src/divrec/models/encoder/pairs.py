"""Pairs of texts as token ids that a model reads together.

Shapes: R pairs of a batch, W tokens of the longest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from divrec.models.encoder.tokens import padded


@dataclass(frozen=True)
class PairTokens:
    """Tokens of pairs of texts, each pair one sequence, without padding.

    Attributes:
        ids: token ids of each pair with its special tokens; at least one token each.
        types: for each token 0 or 1, the text it belongs to; None = the model does not tell the texts apart.
    """

    ids: list[list[int]]
    types: list[list[int]] | None

    def batch(self, places: Sequence[int], pad_id: int) -> dict[str, Tensor]:
        """The pairs at these R places as a model reads them: (R, W) each, padded as single texts are."""
        tokens = padded([self.ids[place] for place in places], pad_id)
        if self.types is not None:
            tokens["token_type_ids"] = padded([self.types[place] for place in places], 0)["input_ids"]
        return tokens


def pair_tokens(
    tokenizer: Any,  # noqa: ANN401 - each family has a class of its own
    config: Any,  # noqa: ANN401
    pairs: Sequence[tuple[str, str]],
    max_tokens: int,
) -> PairTokens:
    """Tokens of each pair; of its texts the longer one is cut until both have `max_tokens` together.

    Args:
        tokenizer: of the language model.
        config: of the language model: types are for a model that has vectors for two of them.
        pairs: first and second text of each.
        max_tokens: of a pair, special tokens included.
    """
    if not pairs:
        return PairTokens([], None)
    first, second = (list(texts) for texts in zip(*pairs, strict=True))
    tokens = tokenizer(first, second, truncation="longest_first", max_length=max_tokens, padding=False)
    ids = [row if row else [tokenizer.pad_token_id] for row in tokens["input_ids"]]
    if "token_type_ids" not in tokens or getattr(config, "type_vocab_size", 0) < 2:
        return PairTokens(ids, None)
    return PairTokens(ids, [row if row else [0] for row in tokens["token_type_ids"]])
