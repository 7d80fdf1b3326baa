"""The same list for everyone: what is touched most."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from divrec.baselines.base import Baseline
from divrec.batch import Batch


class Popular(Baseline):
    """Score of an item = its number of training events."""

    popularity_N: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("popularity_N", torch.empty(0))

    def _fit(self, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64], size: int) -> None:
        self.popularity_N = torch.from_numpy(np.bincount(items, minlength=size)).float()

    def _score(self, batch: Batch) -> Tensor:
        return self.popularity_N.expand(batch.query_rows_Q.shape[0], -1)
