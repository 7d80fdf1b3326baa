"""A random list for each user: the floor of accuracy and near the ceiling of diversity."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from divrec.baselines.base import Baseline, Interactions
from divrec.batch import Batch, Catalogue
from divrec.errors import ConfigError


class Random(Baseline):
    """An independent uniform score in [0, 1) for every user and item.

    Scores are a pure function of the seed and the user's index: the same at every call and on every device, and
    different between users.

    Args:
        seed: any integer from 0.

    Raises:
        ConfigError: the seed is negative.
    """

    size: Tensor

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        if seed < 0:
            raise ConfigError("a seed is at least 0", where="model.seed", got=seed)
        self.seed = seed
        self.register_buffer("size", torch.zeros((), dtype=torch.int64))

    def _fit(self, events: Interactions, catalogue: Catalogue) -> None:
        self.size = torch.tensor(catalogue.size)

    def _score(self, batch: Batch) -> Tensor:
        users_Q = batch.users_B[batch.query_rows_Q].tolist()
        rows = [np.random.default_rng([self.seed, user]).random(int(self.size), dtype=np.float32) for user in users_Q]
        scores_QN = np.stack(rows) if rows else np.empty((0, int(self.size)), dtype=np.float32)
        return torch.from_numpy(scores_QN).to(batch.users_B.device)
