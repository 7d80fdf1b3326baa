"""The simplest user encoder.

Shapes: Q queries, L history length, D dimension.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from divrec.batch import Batch
from divrec.errors import check_number
from divrec.models.user.visible import visible_events, weighted_mean


class MeanUser(nn.Module):
    """A mean of the history's item vectors, weighted by event kind, through a linear layer: the simplest user encoder.

    Args:
        dim: width of item and user vectors.
        dropout: on the mean.
        event_dropout: share of a history's events that a training step leaves out; larger = no single event decides,
            for logs with few users and long histories.
        length_exponent: the sum of n vectors is divided by n to this power. 1 = a mean: a history of one event speaks
            as loud as one of a hundred; .5 = long histories speak louder, short ones leave more to popularity.
        event_kinds: number of event kinds, each with a learned weight.
        recency: start of the learned rate at which an event weighs less with each moment that came after it, by
            exp(-rate); larger = the latest decide. Moments of which no event is read count too. An event counts for
            `length_exponent` as much as it weighs. None = all moments alike.
        starts_as_mean: whether the linear layer starts as the identity, for items whose vectors mean something before
            any training (`model.start: text`). False = random.

    Raises:
        ConfigError: an argument is out of its range.
    """

    def __init__(
        self,
        dim: int,
        dropout: float = 0.2,
        event_dropout: float = 0.0,
        length_exponent: float = 1.0,
        event_kinds: int = 1,
        recency: float | None = None,
        starts_as_mean: bool = False,
    ) -> None:
        super().__init__()
        check_number("user.event_dropout", event_dropout, least=0, below=1)
        check_number("user.length_exponent", length_exponent, least=0, most=1)
        if recency is not None:
            check_number("user.recency", recency, above=0)
        self.event_dropout, self.length_exponent = event_dropout, length_exponent
        self.dropout, self.project = nn.Dropout(dropout), nn.Linear(dim, dim)
        self.kind_logit = nn.Parameter(torch.zeros(event_kinds))
        self.log_recency = None if recency is None else nn.Parameter(torch.tensor([math.log(recency)]))
        if starts_as_mean:
            nn.init.eye_(self.project.weight)
            nn.init.zeros_(self.project.bias)

    def forward(self, items_ND: Tensor, batch: Batch) -> Tensor:
        """User vectors (Q, D)."""
        weights_QL = self.kind_logit.exp()[batch.events_BL[batch.query_rows_Q]] * visible_events(batch)
        if self.log_recency is not None:
            moments_QL = batch.query_groups_Q.unsqueeze(-1) - batch.groups_BL[batch.query_rows_Q]
            weights_QL = weights_QL * torch.exp(-self.log_recency.exp() * moments_QL.clamp(min=0))
        loudness_Q1 = weights_QL.sum(-1, keepdim=True).clamp(min=1e-6).pow(1 - self.length_exponent)
        if self.training and self.event_dropout:
            kept_QL = torch.rand_like(weights_QL) >= self.event_dropout
            weights_QL = weights_QL * kept_QL
        if self.log_recency is not None:  # what is left may be old and weigh next to nothing; a mean is of shares
            weights_QL = weights_QL / weights_QL.detach().amax(-1, keepdim=True).clamp(min=1e-30)
        mean_QD = weighted_mean(items_ND[batch.items_BL], weights_QL, batch)
        return self.project(self.dropout(loudness_Q1 * mean_QD))
