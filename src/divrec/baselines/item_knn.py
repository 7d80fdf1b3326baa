"""Item-based nearest neighbors (Deshpande & Karypis 2004), from who touched what.

Shapes: N items, Q queries, S history items a query, K neighbors an item.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from divrec.baselines.base import Baseline
from divrec.batch import Batch
from divrec.errors import ConfigError

_FIT_ROWS = 512  # items whose co-occurrences are held at once
_VOTES = 2**22  # (history item, neighbor) pairs held at once


class ItemKNN(Baseline):
    """Each item of a user's history votes for its nearest neighbors.

    similarity(i, j) = n_ij / (sqrt(n_i n_j) + shrink), with n_ij the number of users who touched both: the cosine of
    the binary user columns for shrink = 0. Score of j = sum over the history of h_i similarity(i, j), where j is
    among the neighbors kept of i and h is the history weight.

    Args:
        neighbors: most similar items kept of each item; ties go to the lower item number.
        shrink: 0 = plain cosine; higher pulls similarities that rest on few users toward 0.

    Raises:
        ConfigError: `neighbors` is below 1 or `shrink` below 0.
    """

    neighbors_NK: Tensor
    similarities_NK: Tensor

    def __init__(self, neighbors: int = 100, shrink: float = 10.0) -> None:
        super().__init__()
        if neighbors < 1:
            raise ConfigError("an item has at least one neighbor", where="model.neighbors", got=neighbors)
        if not shrink >= 0:
            raise ConfigError("shrink is at least 0", where="model.shrink", got=shrink)
        self.neighbors = neighbors
        self.shrink = shrink
        self.register_buffer("neighbors_NK", torch.empty(0, 0, dtype=torch.int64))
        self.register_buffer("similarities_NK", torch.empty(0, 0))

    def _fit(self, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64], size: int) -> None:
        shape = (int(users.max(initial=-1)) + 1, size)
        touched = sparse.csr_matrix((np.ones(len(items), np.float32), (users, items)), shape=shape)
        touched.data[:] = 1  # the constructor adds up repeated events
        by_item = touched.T.tocsr()
        norms = np.sqrt(np.diff(by_item.indptr))
        kept = min(self.neighbors, size)
        neighbors = np.zeros((size, kept), dtype=np.int64)
        similarities = np.zeros((size, kept), dtype=np.float32)
        for start in range(0, size, _FIT_ROWS):
            shared = (by_item[start : start + _FIT_ROWS] @ touched).tocsr()
            for row in range(shared.shape[0]):
                item, span = start + row, slice(shared.indptr[row], shared.indptr[row + 1])
                others = shared.indices[span]
                values = shared.data[span] / (norms[item] * norms[others] + self.shrink)
                values[others == item] = 0
                best = _largest(values, others, kept)
                neighbors[item, : len(best)] = others[best]
                similarities[item, : len(best)] = values[best]
        self.neighbors_NK = torch.from_numpy(neighbors)
        self.similarities_NK = torch.from_numpy(similarities)

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


def _largest(values: npt.NDArray[np.floating], items: npt.NDArray[np.integer], count: int) -> npt.NDArray[np.int64]:
    """Positions of the `count` largest positive values, ties by the lower item number."""
    positions = np.flatnonzero(values > 0)
    if len(positions) > count:
        threshold = np.partition(values[positions], -count)[-count]
        positions = positions[values[positions] >= threshold]
    return positions[np.lexsort((items[positions], -values[positions]))][:count]
