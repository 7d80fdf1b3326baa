"""The mean over users that every per-user metric keeps."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class UserMean(Metric):
    """Mean of one value a user. Undefined values (NaN) are left out of the mean and counted.

    A metric computes its values in `update` and hands them to `add`.

    Sum and counts are added up over processes, so the mean is right whatever the number of users in each.

    Attributes:
        total: sum of the defined values, float64.
        defined: number of users with a value.
        undefined: number of users without.
        values_B: the latest update's values, one a user; not part of the state.
    """

    is_differentiable = False
    full_state_update = False
    total: Tensor
    defined: Tensor
    undefined: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("defined", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("undefined", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.values_B = torch.empty(0, dtype=torch.float64)

    def add(self, values_B: Tensor) -> None:
        """Add one value a user; NaN is an undefined one."""
        self.values_B = values_B.detach().double()
        missing_B = self.values_B.isnan()
        self.total = self.total + self.values_B.masked_fill(missing_B, 0).sum()
        self.undefined = self.undefined + missing_B.sum()
        self.defined = self.defined + (~missing_B).sum()

    def compute(self) -> Tensor:
        """The mean over the users with a value; NaN where no user has one."""
        return self.total / self.defined
