"""Sequences of different lengths in one tensor, without padding; a batch of them is padded when it is asked for.

Shapes: T sequences, S places in all of them together, R sequences of a batch, W places of the longest of those.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Ragged(nn.Module):
    """Token ids or hidden states of T texts; they follow the module to its device and are not saved with it.

    Args:
        flat_S: all sequences one after another; further dimensions are kept.
        lengths_T: places of each sequence, at least 1.
        padding: value of the padding.
    """

    flat_S: Tensor
    starts_T: Tensor
    lengths_T: Tensor

    def __init__(self, flat_S: Tensor, lengths_T: Tensor, padding: float = 0) -> None:
        super().__init__()
        self.padding = padding
        self.register_buffer("flat_S", flat_S, persistent=False)
        self.register_buffer("lengths_T", lengths_T, persistent=False)
        self.register_buffer("starts_T", lengths_T.cumsum(0) - lengths_T, persistent=False)

    @classmethod
    def of_rows(cls, rows: list[list[int]], padding: int) -> Ragged:
        """From token ids."""
        flat_S = torch.tensor([token for row in rows for token in row])
        return cls(flat_S, torch.tensor([len(row) for row in rows]), padding)

    def forward(self, places_R: Tensor) -> tuple[Tensor, Tensor]:
        """The sequences (R, W, ...), padded at the right, and their mask (R, W) of ones and zeros."""
        lengths_R1 = self.lengths_T[places_R].unsqueeze(-1)
        steps_W = torch.arange(int(lengths_R1.max()), device=places_R.device)
        mask_RW = steps_W < lengths_R1
        index_RW = (self.starts_T[places_R].unsqueeze(-1) + steps_W).clamp(max=len(self.flat_S) - 1)
        values_RW = self.flat_S[index_RW]
        gap_RW = ~mask_RW.reshape(*mask_RW.shape, *[1] * (values_RW.ndim - 2))
        return values_RW.masked_fill(gap_RW, self.padding), mask_RW.long()
