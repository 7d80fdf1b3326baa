"""Even exposure over the catalogue, one user after another: the strategies with a memory.

Shapes: B users, M candidates, N items, K delivered items, D dimension.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from divrec.errors import check_number
from divrec.rerank.greedy import pool_vectors
from divrec.rerank.relevance import Relevance
from divrec.rerank.strategy import Pool, PoolStrategy

Floats = NDArray[np.floating]
Numbers = NDArray[np.int64]

_PRICE = 0.3


class OneAfterAnother(PoolStrategy):
    """A strategy for which an item costs price * log(1 + lists that have shown it so far).

    Users come one after another and each sees what those before were shown, so results depend on the order of users,
    and a service needs a counter that all its workers share. `start` sets the counter to zero, as the evaluation does
    before each split.
    """

    def __init__(self, diversity: float, relevance: Relevance, pool: int, price: float) -> None:
        super().__init__(diversity, relevance, pool)
        self._price = price
        self.start()

    def start(self) -> None:
        """Nothing has been shown to anybody."""
        self._shown_N: Numbers = np.zeros(0, dtype=np.int64)

    def _choose(self, pool: Pool, k: int) -> Tensor:
        size = pool.catalogue.size
        if len(self._shown_N) != size:
            self._shown_N = np.zeros(size, dtype=np.int64)
        base_BM, items_BM = self._base(pool).cpu().numpy(), pool.items_BM.cpu().numpy()
        price_N = np.log1p(self._shown_N) * self._price
        chosen_BK = np.empty((len(items_BM), k), dtype=np.int64)
        known_B = self._known(pool)
        for user, (base_M, items_M) in enumerate(zip(base_BM, items_BM, strict=True)):
            places = self._list(base_M - price_N[items_M], k, known_B[user])
            chosen_BK[user] = places
            shown = items_M[places]
            shown = shown[shown >= 0]
            self._shown_N[shown] += 1
            price_N[shown] = np.log1p(self._shown_N[shown]) * self._price
        return torch.from_numpy(chosen_BK).to(pool.items_BM.device)

    def _known(self, pool: Pool) -> Floats:
        """What `_list` needs to know of the candidates, by user; nothing, where gains are enough."""
        return np.empty((pool.items_BM.shape[0], 0))

    @abstractmethod
    def _list(self, gain_M: Floats, k: int, known: Floats) -> Numbers:
        """Places in the pool of a user's k items, by what the candidates are worth after their price."""


class ExposureBalance(OneAfterAnother):
    """Order by (1 - diversity) * relevance - diversity * log(1 + lists that have shown the item so far).

    That is relevance - lambda * log(1 + shown) with lambda = diversity / (1 - diversity): .3 is lambda .43, .6 is 1.5.
    It is the strongest rival of an exposure regularizer.

    Args:
        diversity: 0 = the ranking as it came, 1 = the least shown items of the pool.
        relevance: "zscore" or "probability", see `PoolStrategy`.
        pool: number of best ranked items that can be chosen.

    Raises:
        ConfigError: an argument is out of its range.
    """

    name = "exposure"

    def __init__(self, diversity: float, relevance: Relevance = "zscore", pool: int = 100) -> None:
        super().__init__(diversity, relevance, pool, price=diversity)

    def _list(self, gain_M: Floats, k: int, known: Floats) -> Numbers:
        return np.argsort(-gain_M, kind="stable")[:k]


class ExposureMMR(OneAfterAnother):
    """Both at once: maximal marginal relevance among items that cost more the more often they have been shown.

    Choose one item at a time by (1 - diversity) * relevance - diversity * (greatest similarity to those chosen +
    exposure * log(1 + lists that have shown the item so far)). It is the strongest rival of an exposure regularizer
    with MMR behind it.

    Args:
        diversity: 0 = the ranking as it came, 1 = similarity and exposure only.
        exposure: price of having been shown against that of similarity; 0 = MMR, larger = more even exposure. Any but
            the default becomes part of the name, so that several can be compared.
        relevance: "zscore" or "probability", see `PoolStrategy`.
        pool: number of best ranked items that can be chosen.

    Raises:
        ConfigError: an argument is out of its range.
    """

    named_by = ("diversity", "exposure")

    def __init__(
        self, diversity: float, exposure: float = _PRICE, relevance: Relevance = "zscore", pool: int = 100
    ) -> None:
        self.name = "exposure_mmr" if exposure == _PRICE else f"exposure_mmr_{exposure:g}"
        check_number("rerank.exposure_mmr.exposure", exposure, least=0)
        self.exposure = float(exposure)
        super().__init__(diversity, relevance, pool, price=diversity * exposure)

    def _known(self, pool: Pool) -> Floats:
        vectors_BMD: Floats = pool_vectors(pool.catalogue.vectors_ND, pool.looked_up()).cpu().numpy()
        return vectors_BMD

    def _list(self, gain_M: Floats, k: int, known: Floats) -> Numbers:
        near_MM = (known @ known.T + 1) * (self.diversity / 2)
        worst_M, free_M = np.zeros_like(gain_M), gain_M.copy()
        places = np.empty(k, dtype=np.int64)
        for step in range(k):
            best = int((free_M - worst_M).argmax())
            places[step] = best
            free_M[best] = -np.inf
            np.maximum(worst_M, near_MM[best], out=worst_M)
        return places
