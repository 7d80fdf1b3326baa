"""Item-based nearest neighbors (Deshpande & Karypis 2004), from who touched what.

Shapes: N items.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from divrec.baselines.base import Interactions
from divrec.baselines.neighbors import NeighborTable, NeighborVotes
from divrec.batch import Catalogue
from divrec.errors import ConfigError

_FIT_ROWS = 512  # items whose co-occurrences are held at once


class ItemKNN(NeighborVotes):
    """Each item of a user's history votes for its nearest neighbors.

    similarity(i, j) = n_ij / (sqrt(n_i n_j) + shrink), with n_ij the number of users who touched both: the cosine of
    the binary user columns for shrink = 0.

    Args:
        neighbors: most similar items kept of each item; ties go to the lower item number.
        shrink: 0 = plain cosine; higher pulls similarities that rest on few users toward 0.

    Raises:
        ConfigError: `neighbors` is below 1 or `shrink` below 0.
    """

    def __init__(self, neighbors: int = 100, shrink: float = 10.0) -> None:
        super().__init__(neighbors)
        if not shrink >= 0:
            raise ConfigError("shrink is at least 0", where="model.shrink", got=shrink)
        self.shrink = shrink

    def _fit(self, events: Interactions, catalogue: Catalogue) -> None:
        touched = user_item_matrix(events, catalogue.size)
        by_item = touched.T.tocsr()
        norms = np.sqrt(np.diff(by_item.indptr))
        table = NeighborTable(catalogue.size, self.neighbors)
        for start in range(0, catalogue.size, _FIT_ROWS):
            shared = (by_item[start : start + _FIT_ROWS] @ touched).tocsr()
            for row in range(shared.shape[0]):
                item, span = start + row, slice(shared.indptr[row], shared.indptr[row + 1])
                others = shared.indices[span]
                values = shared.data[span] / (norms[item] * norms[others] + self.shrink)
                values[others == item] = 0
                table.fill(item, values, others)
        self.neighbors_NK, self.similarities_NK = table.tensors()


def user_item_matrix(events: Interactions, size: int) -> sparse.csr_matrix:
    """Who touched what, (users, N) of ones in float32; repeated events count once."""
    shape = (int(events.users.max(initial=-1)) + 1, size)
    ones = np.ones(len(events.items), np.float32)
    touched = sparse.csr_matrix((ones, (events.users, events.items)), shape=shape)
    touched.data[:] = 1  # the constructor adds up repeated events
    return touched
