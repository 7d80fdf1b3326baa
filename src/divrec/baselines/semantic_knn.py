"""Nearest neighbors in the frozen text vectors: what a language model knows before any training.

Shapes: N items, D dimension.
"""

from __future__ import annotations

import numpy as np

from divrec.baselines.base import Interactions
from divrec.baselines.neighbors import NeighborTable, NeighborVotes
from divrec.batch import Catalogue

_FIT_ROWS = 512  # items whose similarities are held at once


class SemanticKNN(NeighborVotes):
    """Each item of a user's history votes for the items whose texts are nearest.

    similarity(i, j) = max(0, cosine of the whitened text vectors). It reads no event but the user's own history.

    Args:
        neighbors: most similar items kept of each item; ties go to the lower item number.

    Raises:
        ConfigError: `neighbors` is below 1.
    """

    def __init__(self, neighbors: int = 100) -> None:
        super().__init__(neighbors)

    def _fit(self, events: Interactions, catalogue: Catalogue) -> None:
        vectors_ND = catalogue.vectors_ND.float().cpu().numpy()
        everything = np.arange(catalogue.size)
        table = NeighborTable(catalogue.size, self.neighbors)
        for start in range(0, catalogue.size, _FIT_ROWS):
            cosines = vectors_ND[start : start + _FIT_ROWS] @ vectors_ND.T
            for row, values in enumerate(cosines):
                values[start + row] = 0
                table.fill(start + row, values, everything)
        self.neighbors_NK, self.similarities_NK = table.tensors()
