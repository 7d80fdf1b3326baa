"""A small transformer over the history.

Shapes: B rows, L history length, E events of all rows (padding left out), Q queries, D dimension, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from divrec.batch import Batch
from divrec.errors import ConfigError, check_number
from divrec.models.user.time_gaps import TimeGaps
from divrec.models.user.visible import visible_events, weighted_mean


class AttentionUser(nn.Module):
    """A small pre-norm transformer over the history, causal in time.

    An event attends to events of the same or an earlier moment; position enters as a learned bias for the distance in
    moments, so that the items of one basket are interchangeable and any moment of a window can be queried. With
    `from_end`, an early query then knows how many moments its window still has, though nothing of what they hold. The
    user vector is a mean over the events that a query sees.

    Args:
        dim: width of item and user vectors D.
        blocks: transformer blocks.
        heads: attention heads H; divides dim.
        dropout: on embeddings and block outputs, not on attention weights.
        input_scale: multiplies the item vectors at the input, those of `from_end` with them; the recipe this follows
            uses 8.
        max_distance: distances in moments from here on share one bias, and one vector of `from_end`.
        event_kinds: number of event kinds, each with a learned vector added to its events.
        pooling: `last` averages the events of the last moment that a query sees (the next click), `all` those of the
            whole window (the next weeks).
        output_gain: length at which user vectors start, in units of sqrt(D). A small one lets taste grow from the
            popularity score; with 1 and small data, taste is noise before it is learned.
        time_gaps: whether the time between events is read, in ranges that double: since the moment before, between
            two events that attend, and (with `pooling: all`) the age of an event when its user is asked about. For logs
            with order alone, whose times are made up, leave it off.
        from_end: whether an event also has a learned vector, 0 before training, for the number of moments from it to
            the last that its window holds, as SASRec's learned positions count. With `data.windows=last` windows end
            where the training log does: what is bought there is then not taken for what was bought before. A
            regularizer in training reads queries anywhere in a window, delivered lists come from its end alone: compare
            R with the delivered lists' diversity before trusting a beta.
        gated: whether what a block adds to an event passes a learned gate that reads the event: x + f(x) * sigmoid(W x
            + b) for x + f(x), 2 (D^2 + D) more weights a block (LiGR, Borisyuk et al. 2025). Gates start about half
            open, so a gated encoder does not start as the plain one.
    """

    def __init__(
        self,
        dim: int,
        blocks: int = 1,
        heads: int = 1,
        dropout: float = 0.4,
        input_scale: float = 8.0,
        max_distance: int = 64,
        event_kinds: int = 1,
        pooling: Literal["last", "all"] = "all",
        output_gain: float = 0.1,
        time_gaps: bool = False,
        from_end: bool = False,
        gated: bool = False,
    ) -> None:
        super().__init__()
        if pooling not in ("last", "all"):
            raise ConfigError("no such pooling", where="user.pooling", got=pooling, mend="Use last or all.")
        check_number("user.output_gain", output_gain, above=0)
        if dim % heads:
            raise ConfigError(
                "must divide the model's width", where="user.heads", got=heads, mend=f"The width is {dim}."
            )
        self.input_scale, self.pooling = input_scale, pooling
        self.event_kind = nn.Embedding(event_kinds, dim) if event_kinds > 1 else None
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(dim, heads, dropout, max_distance, gated) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)
        nn.init.constant_(self.norm.weight, output_gain)
        if self.event_kind is not None:
            nn.init.normal_(self.event_kind.weight, std=0.02)
        self.time_gaps = TimeGaps(dim, blocks * heads, pooling == "all") if time_gaps else None
        self.from_end = _zeros(max_distance + 1, dim) if from_end else None

    def forward(self, items_ND: Tensor, batch: Batch) -> Tensor:
        """User vectors (Q, D)."""
        windows = _Windows.of(batch.groups_BL)
        hidden_ED = items_ND[windows.events_of(batch.items_BL)]
        if self.from_end is not None:
            hidden_ED = hidden_ED + self.from_end(windows.moments_to_end().clamp(max=self.from_end.num_embeddings - 1))
        hidden_ED = hidden_ED * self.input_scale
        if self.event_kind is not None:
            hidden_ED = hidden_ED + self.event_kind(windows.events_of(batch.events_BL))
        biases: Sequence[Tensor | None] = [None] * len(self.blocks)
        if self.time_gaps is not None:
            hidden_ED = hidden_ED + windows.events_of(self.time_gaps.event_vectors(batch))
            biases = self.time_gaps.attention_bias(batch).chunk(len(self.blocks), dim=-1)
        hidden_ED = self.dropout(hidden_ED)
        for block, bias_BLLH in zip(self.blocks, biases, strict=True):
            hidden_ED = block(hidden_ED, windows, bias_BLLH)
        hidden_BLD = windows.padded(self.norm(hidden_ED))
        return weighted_mean(hidden_BLD, self._weights(batch).to(hidden_BLD.dtype), batch)

    def _weights(self, batch: Batch) -> Tensor:
        """Share (Q, L) of each event in the user vector, up to a factor."""
        if self.pooling == "last":
            return batch.groups_BL[batch.query_rows_Q] == batch.query_groups_Q.unsqueeze(-1)
        visible_QL = visible_events(batch)
        return visible_QL if self.time_gaps is None else visible_QL * self.time_gaps.weights(batch)


@dataclass(frozen=True)
class _Windows:
    """Where the events of a batch are in its windows.

    Most windows are mostly padding, so all but the attention itself is computed for events alone.
    """

    rows_E: Tensor
    places_E: Tensor
    groups_BL: Tensor

    @classmethod
    def of(cls, groups_BL: Tensor) -> _Windows:
        rows_E, places_E = (groups_BL >= 0).nonzero(as_tuple=True)
        return cls(rows_E, places_E, groups_BL)

    def moments_to_end(self) -> Tensor:
        """Number of moments from each event to the last of its window that holds one, (E,)."""
        return self.events_of(self.groups_BL.amax(-1, keepdim=True) - self.groups_BL)

    def events_of(self, values_BLZ: Tensor) -> Tensor:
        """What the events have of values of all places, (E, ...)."""
        return values_BLZ[self.rows_E, self.places_E]

    def padded(self, values_EZ: Tensor) -> Tensor:
        """The events' values in their windows, (B, L, Z); 0 where there is padding."""
        values_BLZ = values_EZ.new_zeros(*self.groups_BL.shape, values_EZ.shape[-1])
        return values_BLZ.index_put((self.rows_E, self.places_E), values_EZ)


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int, dropout: float, max_distance: int, gated: bool) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.feedforward_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query_key_value, self.output = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.distance_bias = nn.Parameter(torch.zeros(max_distance + 1, heads))
        self.feedforward = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.attention_gate, self.feedforward_gate = (nn.Linear(dim, dim) if gated else None for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden_ED: Tensor, windows: _Windows, time_BLLH: Tensor | None) -> Tensor:
        bias_BHLL = self._bias(windows.groups_BL, time_BLLH)
        attended_ED = self._attend(self.attention_norm(hidden_ED), windows, bias_BHLL)
        hidden_ED = hidden_ED + self.dropout(_through(self.attention_gate, hidden_ED, attended_ED))
        fed_ED = self.feedforward(self.feedforward_norm(hidden_ED))
        return hidden_ED + self.dropout(_through(self.feedforward_gate, hidden_ED, fed_ED))

    def _attend(self, hidden_ED: Tensor, windows: _Windows, bias_BHLL: Tensor) -> Tensor:
        parts_BLZ = windows.padded(self.query_key_value(hidden_ED))
        parts = parts_BLZ.view(*parts_BLZ.shape[:2], 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each (B, H, L, D / H)
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias_BHLL)
        return self.output(windows.events_of(attended.transpose(1, 2)).flatten(1))

    def _bias(self, groups_BL: Tensor, time_BLLH: Tensor | None) -> Tensor:
        """Additive mask (B, H, L, L): the bias of distance and time, -inf for later moments and padding."""
        gap_BLL = groups_BL.unsqueeze(-1) - groups_BL.unsqueeze(-2)  # [b, i, j] = group_i - group_j
        hidden_BLL = (gap_BLL < 0) | (groups_BL < 0).unsqueeze(-2)
        # Padding attends to padding, or its softmax would be empty; nothing reads it.
        hidden_BLL = hidden_BLL & (groups_BL >= 0).unsqueeze(-1)
        bias_BLLH = self.distance_bias[gap_BLL.clamp(0, self.distance_bias.shape[0] - 1)]
        if time_BLLH is not None:
            bias_BLLH = bias_BLLH + time_BLLH
        return bias_BLLH.masked_fill(hidden_BLL.unsqueeze(-1), -torch.inf).permute(0, 3, 1, 2)


def _through(gate: nn.Module | None, hidden_ED: Tensor, added_ED: Tensor) -> Tensor:
    return added_ED if gate is None else added_ED * gate(hidden_ED).sigmoid()


def _zeros(rows: int, dim: int) -> nn.Embedding:
    """A table that starts at 0, made without a draw, so that other weights start as they do without it."""
    table: nn.Embedding = nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        torch.zeros(rows, dim), freeze=False
    )
    return table
