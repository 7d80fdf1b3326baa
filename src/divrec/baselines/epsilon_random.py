"""Random items mixed into a baseline's lists: the line that every claim of diversity has to beat.

Shapes: Q queries, N items.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from divrec.baselines.base import Baseline, Interactions
from divrec.batch import Batch, Catalogue
from divrec.errors import ConfigError


class EpsilonRandom(Baseline):
    """Each place is, with chance epsilon, the next item of a random order, else the next of the base's order.

    Items that are already listed are skipped. The score of an item is minus the place (from 1) where it comes first.
    Coins and random order are pure functions of the seed and the user's index.

    Args:
        base: any baseline; it is fitted along with this one.
        epsilon: 0 = the base's order, 1 = random.
        seed: any integer from 0.

    Raises:
        ConfigError: an argument is out of its range.
    """

    def __init__(self, base: Baseline, epsilon: float, seed: int = 0) -> None:
        super().__init__()
        if not 0 <= epsilon <= 1:
            raise ConfigError("epsilon lies in [0, 1]", where="model.epsilon", got=epsilon)
        if seed < 0:
            raise ConfigError("a seed is at least 0", where="model.seed", got=seed)
        self.base = base
        self.epsilon = epsilon
        self.seed = seed

    def _fit(self, events: Interactions, catalogue: Catalogue) -> None:
        self.base.fit_events(events, catalogue)

    def _score(self, batch: Batch) -> Tensor:
        scores_QN = self.base(batch).scores_QN
        users_Q = batch.users_B[batch.query_rows_Q].tolist()
        rows = [self._places(row, user) for row, user in zip(scores_QN.cpu().numpy(), users_Q, strict=True)]
        places_QN = np.stack(rows) if rows else np.empty(scores_QN.shape)
        return torch.from_numpy(-1.0 - places_QN).float().to(scores_QN.device)

    def _places(self, scores_N: npt.NDArray[np.floating], user: int) -> npt.NDArray[np.int64]:
        """Place at which each item comes first, in a list of twice the catalogue's length."""
        generator = np.random.default_rng([self.seed, user])
        size = len(scores_N)
        random_N = generator.permutation(size)  # of the base's ties, too
        order_N = random_N[np.argsort(-scores_N[random_N], kind="stable")]
        coins = generator.random(2 * size) < self.epsilon
        places_N = np.full(size, 2 * size)
        for drawn, ordered in ((~coins, order_N), (coins, generator.permutation(size))):
            places = np.flatnonzero(drawn)[:size]
            placed = ordered[: len(places)]
            places_N[placed] = np.minimum(places_N[placed], places)
        return places_N
