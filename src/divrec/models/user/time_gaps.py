"""How long ago: learned values for ranges of time between events, each range twice as long as the one before.

Order alone does not tell a basket of yesterday from one of last year. Everything here starts at 0, so that an encoder
begins as the one without times.

Shapes: B rows, L history length, Q queries, D dimension, H heads, G ranges.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from divrec.batch import Batch
from divrec.errors import ConfigError

_MINUTE = 60
_RANGES = 24  # the last one begins at 2^22 minutes, which is 8 years


def gap_buckets(seconds: Tensor) -> Tensor:
    """Number of the range that a time falls into: 0 below a minute, then 1, 2, 3 ... from 1, 2, 4 ... minutes on.

    Args:
        seconds: whole numbers, not negative; any shape.
    """
    minutes = (seconds.clamp(min=0) // _MINUTE).double()
    return (minutes + 0.5).log2().floor().long().add(1).clamp(0, _RANGES - 1)


class TimeGaps(nn.Module):
    """What the times between events add to an attention encoder: tables over ranges of time, all from 0.

    Args:
        dim: width of the event vectors D.
        heads: attention heads H of all blocks together.
        weighs_events: whether `weights` will be asked for. A table that nothing reads would have no gradient, for which
            processes that average theirs wait in vain.
    """

    def __init__(self, dim: int, heads: int, weighs_events: bool = True) -> None:
        super().__init__()
        # One more row: nothing earlier in the window.
        self.since_previous = nn.Parameter(torch.zeros(_RANGES + 1, dim))
        self.between = nn.Parameter(torch.zeros(_RANGES, heads))
        self.age = nn.Parameter(torch.zeros(_RANGES)) if weighs_events else None

    def event_vectors(self, batch: Batch) -> Tensor:
        """A vector for the time that has passed since the moment before each event, (B, L, D)."""
        times_BL, groups_BL = _times(batch), batch.groups_BL
        earlier_BLL = (groups_BL.unsqueeze(-2) < groups_BL.unsqueeze(-1)) & (groups_BL >= 0).unsqueeze(-2)
        since_BLL = (times_BL.unsqueeze(-1) - times_BL.unsqueeze(-2)).masked_fill(
            ~earlier_BLL, torch.iinfo(torch.int64).max
        )
        ranges_BL = torch.where(earlier_BLL.any(-1), gap_buckets(since_BLL.amin(-1)), _RANGES)
        return self.since_previous[ranges_BL]

    def attention_bias(self, batch: Batch) -> Tensor:
        """What the time between two events adds to the attention of one to the other, (B, L, L, H)."""
        times_BL = _times(batch)
        return self.between[gap_buckets(times_BL.unsqueeze(-1) - times_BL.unsqueeze(-2))]

    def weights(self, batch: Batch) -> Tensor:
        """Positive weight of each event by its age at the last moment that a query sees, (Q, L); 1 at the start."""
        assert self.age is not None
        times_QL = _times(batch)[batch.query_rows_Q]
        is_last_QL = batch.groups_BL[batch.query_rows_Q] == batch.query_groups_Q.unsqueeze(-1)
        now_Q1 = times_QL.masked_fill(~is_last_QL, 0).amax(-1, keepdim=True)
        return self.age[gap_buckets(now_Q1 - times_QL)].exp()


def _times(batch: Batch) -> Tensor:
    if batch.times_BL is None:
        raise ConfigError("needs the events' times, which these batches lack", where="user.time_gaps", got=True)
    return batch.times_BL
