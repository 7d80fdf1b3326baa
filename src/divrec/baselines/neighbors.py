"""Votes of the history's items for their nearest neighbors; what "near" means is the subclass's.

Shapes: N items, Q queries, S history items a query, K neighbors an item.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from divrec.baselines.base import Baseline
from divrec.batch import Batch
from divrec.errors import ConfigError

_VOTES = 2**22  # (history item, neighbor) pairs held at once


class NeighborVotes(Baseline):
    """Score of j = sum over the history of h_i similarity(i, j), where j is among the neighbors kept of i.

    h is the history weight.

    Args:
        neighbors: most similar items kept of each item; ties go to the lower item number.

    Raises:
        ConfigError: `neighbors` is below 1.
    """

    neighbors_NK: Tensor
    similarities_NK: Tensor

    def __init__(self, neighbors: int) -> None:
        super().__init__()
        if neighbors < 1:
            raise ConfigError("an item has at least one neighbor", where="model.neighbors", got=neighbors)
        self.neighbors = neighbors
        self.register_buffer("neighbors_NK", torch.empty(0, 0, dtype=torch.int64))
        self.register_buffer("similarities_NK", torch.empty(0, 0))

    def _score(self, batch: Batch) -> Tensor:
        size, kept = self.neighbors_NK.shape
        queries, length = batch.seen_QS.shape
        scores_QN = self.similarities_NK.new_zeros(queries, size)
        rows = max(1, _VOTES // max(1, length * kept))
        for start in range(0, queries, rows):
            part = slice(start, start + rows)
            history_QS = batch.history_QS[part].to(scores_QN.dtype)
            touched_QS = batch.seen_QS[part].clamp(max=size - 1)  # padding has weight 0
            votes_QSK = history_QS.unsqueeze(-1) * self.similarities_NK[touched_QS]
            scores_QN[part].scatter_add_(1, self.neighbors_NK[touched_QS].flatten(1), votes_QSK.flatten(1))
        return scores_QN


class NeighborTable:
    """Filled a row an item; places without a neighbor have similarity 0."""

    def __init__(self, size: int, neighbors: int) -> None:
        self._kept = min(neighbors, size)
        self._neighbors = np.zeros((size, self._kept), dtype=np.int64)
        self._similarities = np.zeros((size, self._kept), dtype=np.float32)

    def fill(self, item: int, values: npt.NDArray[np.floating], others: npt.NDArray[np.integer]) -> None:
        """Keep the largest positive similarities of an item to others."""
        best = _largest(values, others, self._kept)
        self._neighbors[item, : len(best)] = others[best]
        self._similarities[item, : len(best)] = values[best]

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Neighbors and similarities, (N, K) each."""
        return torch.from_numpy(self._neighbors), torch.from_numpy(self._similarities)


def _largest(values: npt.NDArray[np.floating], items: npt.NDArray[np.integer], count: int) -> npt.NDArray[np.int64]:
    """Positions of the `count` largest positive values, ties by the lower item number."""
    positions = np.flatnonzero(values > 0)
    if len(positions) > count:
        threshold = np.partition(values[positions], -count)[-count]
        positions = positions[values[positions] >= threshold]
    return positions[np.lexsort((items[positions], -values[positions]))][:count]
