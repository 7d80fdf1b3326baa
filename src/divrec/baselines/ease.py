"""Embarrassingly shallow autoencoder (EASE, Steck 2019): the linear model that is hard to beat.

Shapes: N items, Q queries, S history items a query.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import lapack
from torch import Tensor
from torch.nn.functional import embedding_bag

from divrec.baselines.base import Baseline, Interactions
from divrec.baselines.item_knn import user_item_matrix
from divrec.batch import Batch, Catalogue
from divrec.errors import ConfigError, DataError


class EASE(Baseline):
    """Scores h B, where B with a zero diagonal minimizes |X - X B|^2 + ridge |B|^2 on the binary user-item matrix X.

    Closed form: P = (X'X + ridge I)^-1, B_ij = -P_ij / P_jj off the diagonal. B is dense: N^2 numbers in memory and in
    the run's folder (12,000 items: .6 GB, about a minute on a core).

    Args:
        ridge: above 0; higher trusts co-occurrence less.
        most_items: refuse larger catalogues rather than run out of memory.

    Raises:
        ConfigError: an argument is out of its range.
        DataError: at the fit, the catalogue is larger than `most_items`.
    """

    weights_NN: Tensor

    def __init__(self, ridge: float = 250.0, most_items: int = 25_000) -> None:
        super().__init__()
        if not ridge > 0:
            raise ConfigError("the ridge is above 0", where="model.ridge", got=ridge)
        if most_items < 1:
            raise ConfigError("is at least 1", where="model.most_items", got=most_items)
        self.ridge = ridge
        self.most_items = most_items
        self.register_buffer("weights_NN", torch.empty(0, 0))

    def _fit(self, events: Interactions, catalogue: Catalogue) -> None:
        if catalogue.size > self.most_items:
            raise DataError(
                f"EASE needs {4e-9 * catalogue.size**2:.1f} GB for this catalogue",
                where="model.most_items",
                got=catalogue.size,
                mend="Raise it, or take fewer items (data.preparation).",
            )
        touched = user_item_matrix(events, catalogue.size)
        gram = np.asfortranarray((touched.T @ touched).toarray())
        np.fill_diagonal(gram, gram.diagonal() + self.ridge)
        # in place, for there may be no room for a second matrix; single precision will do, the ridge sees to it
        factor, failed = lapack.spotrf(gram, overwrite_a=True, clean=False)
        inverse, failed_too = lapack.spotri(factor, overwrite_c=True)
        if failed or failed_too:
            raise ConfigError("too small for this data: X'X + ridge I is singular", where="model.ridge", got=self.ridge)
        upper = np.triu(inverse)
        weights = upper + np.triu(upper, 1).T
        weights /= -weights.diagonal().copy()
        np.fill_diagonal(weights, 0)
        self.weights_NN = torch.from_numpy(np.ascontiguousarray(weights))

    def _score(self, batch: Batch) -> Tensor:
        size = self.weights_NN.shape[0]
        touched_QS = batch.seen_QS.clamp(max=size - 1)  # padding has weight 0
        history_QS = batch.history_QS.to(self.weights_NN.dtype)
        return embedding_bag(touched_QS, self.weights_NN, per_sample_weights=history_QS, mode="sum")
