"""The simplest user encoder.

Shapes: Q queries, L history length, D dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from divrec.batch import Batch
from divrec.models.user.visible import visible_events, weighted_mean


class MeanUser(nn.Module):
    """A mean of the history's item vectors, weighted by event kind, through a linear layer: the simplest user encoder.

    Args:
        dim: width of item and user vectors.
        dropout: on the mean.
        event_kinds: number of event kinds, each with a learned weight.
    """

    def __init__(self, dim: int, dropout: float = 0.2, event_kinds: int = 1) -> None:
        super().__init__()
        self.dropout, self.project = nn.Dropout(dropout), nn.Linear(dim, dim)
        self.kind_logit = nn.Parameter(torch.zeros(event_kinds))

    def forward(self, items_ND: Tensor, batch: Batch) -> Tensor:
        """User vectors (Q, D)."""
        weights_QL = self.kind_logit.exp()[batch.events_BL[batch.query_rows_Q]] * visible_events(batch)
        return self.project(self.dropout(weighted_mean(items_ND[batch.items_BL], weights_QL, batch)))
