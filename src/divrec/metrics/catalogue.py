"""What all lists together show of the catalogue; the formulas are `divrec.measures`.

The state is how often each item was delivered, as integers that are added up over processes: a mean of values of
parts would be wrong, for no part covers what the whole does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric

from divrec import measures
from divrec.batch import Slate


class _Exposure(Metric):
    """Number of lists that each item is in.

    Args:
        size: number of items N.
        k: length of the lists.
    """

    is_differentiable = False
    full_state_update = False
    exposure_N: Tensor

    def __init__(self, size: int, k: int) -> None:
        super().__init__()
        self.k = k
        self.add_state("exposure_N", torch.zeros(size, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, slate: Slate) -> None:
        """Count the first k items of each list."""
        items_BK = slate.items_BK[:, : self.k]
        shown = items_BK[items_BK >= 0]
        self.exposure_N = self.exposure_N.index_add(0, shown, torch.ones_like(shown))


class Coverage(_Exposure):
    """Share of the catalogue that is in anybody's list, in [0, 1]; higher = more of it is seen."""

    def compute(self) -> Tensor:
        """The share, over all lists so far."""
        return measures.coverage(self.exposure_N)


class ExposureGini(_Exposure):
    """Gini index of how often items are delivered, in [0, 1 - 1/N]; 0 = all equally often; NaN before any list."""

    def compute(self) -> Tensor:
        """The index, over all lists so far."""
        return measures.gini_index(self.exposure_N.double())


class EffectiveCoverage(_Exposure):
    """exp(entropy of exposure) over the number of items, in [1/N, 1]; 1 = all equally often; NaN before any list."""

    def compute(self) -> Tensor:
        """The value, over all lists so far."""
        return measures.effective_coverage(self.exposure_N)
