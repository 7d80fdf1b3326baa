"""What a query sees of its window.

Shapes: B rows, L history length, Q queries, D dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor

from divrec.batch import Batch


def visible_events(batch: Batch) -> Tensor:
    """Which events of its window each query sees, (Q, L) of bool."""
    groups_QL = batch.groups_BL[batch.query_rows_Q]
    return (groups_QL >= 0) & (groups_QL <= batch.query_groups_Q.unsqueeze(-1))


def weighted_mean(hidden_BLD: Tensor, weights_QL: Tensor, batch: Batch) -> Tensor:
    """Mean of each query's events, (Q, D); 0 where all weights are 0."""
    weights_QL = weights_QL / weights_QL.sum(-1, keepdim=True).clamp(min=1e-6)
    return torch.einsum("ql,qld->qd", weights_QL, hidden_BLD[batch.query_rows_Q])
