"""Texts as token ids, without padding, and the padded batches that a model reads.

Shapes: T texts, R of them in a batch, W tokens of the longest text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def token_ids(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[list[int]]:  # noqa: ANN401
    """The token ids of each text with its special tokens, cut at `max_tokens`; at least one token each."""
    if not texts:
        return []
    rows = tokenizer(list(texts), truncation=True, max_length=max_tokens, padding=False)["input_ids"]
    return [row if row else [tokenizer.pad_token_id] for row in rows]


def padded(rows: Sequence[Sequence[int]], pad_id: int) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask`, both (R, W), padded to the longest row.

    On the right, whatever side the tokenizer prefers: so positions count from the text's first token in every family,
    and a text has the vector that it has alone.
    """
    width = max(map(len, rows))
    ids_RW = torch.full((len(rows), width), pad_id)
    mask_RW = torch.zeros(len(rows), width, dtype=torch.long)
    for place, row in enumerate(rows):
        ids_RW[place, : len(row)] = torch.tensor(row)
        mask_RW[place, : len(row)] = 1
    return {"input_ids": ids_RW, "attention_mask": mask_RW}
