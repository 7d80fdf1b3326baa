"""Similarity of the items' texts inside a slate (list level). S = (1 + cos) / 2 of the frozen vectors.

Shapes: B rows, N items, M candidates, D dimension.
"""

from __future__ import annotations

from torch import Tensor

from divrec.batch import Batch, Catalogue, SoftSlate
from divrec.errors import ConfigError, check_number
from divrec.measures import intra_list_similarity, max_similarity, nearest_similarity, prefix_similarity
from divrec.objectives.diversity.regularizer import Regularizer, mean_of_rows, rows_with_pairs
from divrec.similarity import similarity

_SHARPEST = 80.0  # exp(-80) is about the smallest number of single precision


class IntraListSimilarity(Regularizer):
    """Mean similarity of two different items of the slate; 1 = all texts alike (list level).

    Args:
        catalogue: the frozen catalogue.
        weight: multiplies this term.
        prefix: true lets only the lower item of a pair feel it, as a re-ranker would; false lets both.
    """

    vectors_ND: Tensor

    def __init__(self, catalogue: Catalogue, weight: float = 1.0, prefix: bool = False) -> None:
        super().__init__(catalogue, weight)
        self.prefix = prefix
        self.register_buffer("vectors_ND", catalogue.vectors_ND, persistent=False)

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Mean over the rows."""
        slate = rows_with_pairs(slate)
        vectors_BMD = self.vectors_ND[slate.items_BM].to(slate.weights_BM.dtype)
        if self.prefix:
            return mean_of_rows(prefix_similarity(slate.weights_BM, similarity(vectors_BMD, vectors_BMD)))
        return mean_of_rows(intra_list_similarity(slate.weights_BM, vectors_BMD))


class MaxSimilarity(Regularizer):
    """Smooth maximum of the similarities of the slate's pairs: what moves the minimum distance (list level).

    Args:
        catalogue: the frozen catalogue.
        weight: multiplies this term.
        sharpness: of the maximum; towards 0 it is the mean similarity, at its largest, 80, nearly
            the most similar pair alone.

    Raises:
        ConfigError: for a sharpness outside (0, 80].
    """

    vectors_ND: Tensor

    def __init__(self, catalogue: Catalogue, weight: float = 1.0, sharpness: float = 20.0) -> None:
        super().__init__(catalogue, weight)
        _check_sharpness("diversity.max_similarity.sharpness", sharpness)
        self.sharpness = sharpness
        self.register_buffer("vectors_ND", catalogue.vectors_ND, persistent=False)

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Mean over the rows."""
        slate = rows_with_pairs(slate)
        vectors_BMD = self.vectors_ND[slate.items_BM].to(slate.weights_BM.dtype)
        return mean_of_rows(max_similarity(slate.weights_BM, similarity(vectors_BMD, vectors_BMD), self.sharpness))


class NearestSimilarity(Regularizer):
    """Similarity of each item of the slate to the one nearest to it, on average (list level).

    Args:
        catalogue: the frozen catalogue.
        weight: multiplies this term.
        sharpness: of the maximum; towards 0 it is the mean similarity, at its largest, 80, nearly
            the nearest item alone.
        prefix: true looks for the nearest among the items above only, which do not feel it (the redundancy that MMR
            subtracts, Carbonell & Goldstein 1998); false among all others (facility location).

    Raises:
        ConfigError: for a sharpness outside (0, 80].
    """

    vectors_ND: Tensor

    def __init__(
        self, catalogue: Catalogue, weight: float = 1.0, sharpness: float = 20.0, prefix: bool = False
    ) -> None:
        super().__init__(catalogue, weight)
        _check_sharpness("diversity.nearest_similarity.sharpness", sharpness)
        self.sharpness, self.prefix = sharpness, prefix
        self.register_buffer("vectors_ND", catalogue.vectors_ND, persistent=False)

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Mean over the rows."""
        slate = rows_with_pairs(slate)
        vectors_BMD = self.vectors_ND[slate.items_BM].to(slate.weights_BM.dtype)
        pairs_BMM = similarity(vectors_BMD, vectors_BMD)
        return mean_of_rows(nearest_similarity(slate.weights_BM, pairs_BMM, self.sharpness, self.prefix))


def _check_sharpness(where: str, sharpness: float) -> None:
    check_number(where, sharpness, above=0)
    if sharpness > _SHARPEST:
        raise ConfigError(f"must be at most {_SHARPEST:g}", where=where, got=sharpness)
