"""What all baselines share: fitted once on the training split, then scored like any model.

Shapes: N items, Q queries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from divrec.batch import Batch, Catalogue, ModelOutput
from divrec.errors import ConfigError


class Baseline(nn.Module, ABC):
    """A recommender without trainable parameters.

    What it fits lies in buffers, so `state_dict` holds all of it and `load_state_dict` restores it, whatever the size.
    """

    fitted: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    def fit(self, train: datasets.Dataset, catalogue: Catalogue) -> None:
        """Learn from the training split.

        Args:
            train: a row a user, with columns `user` and `items` (events in time order, rows of the catalogue).
            catalogue: the items that can be ranked.
        """
        device = self.fitted.device
        users, items = interactions(train)
        self._fit(users, items, catalogue.size)
        self.fitted = torch.ones((), dtype=torch.bool)
        self.to(device)

    @torch.no_grad()
    def forward(self, batch: Batch) -> ModelOutput:
        """Scores (Q, N) of every item for every query; no vectors.

        Raises:
            ConfigError: the baseline has neither been fitted nor loaded.
        """
        if not bool(self.fitted):
            raise ConfigError(
                "the baseline has learned nothing yet", where=type(self).__name__, mend="Fit it, or load its state"
            )
        return ModelOutput(self._score(batch))

    @abstractmethod
    def _fit(self, users: npt.NDArray[np.int64], items: npt.NDArray[np.int64], size: int) -> None:
        """Fill the buffers from events (user row, item) on a catalogue of `size` items."""

    @abstractmethod
    def _score(self, batch: Batch) -> Tensor:
        """Scores (Q, N)."""

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:  # noqa: ANN401
        # torch copies into buffers of the same shape only; those of an unfitted baseline are empty
        for name, buffer in self.named_buffers(recurse=False):
            stored = state_dict.get(prefix + name)
            if stored is not None:
                setattr(self, name, torch.empty_like(stored, device=buffer.device))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def interactions(train: datasets.Dataset) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All events of a training split as (row of the user in the split, item), in the order they are stored."""
    column = train.select_columns("items").with_format("arrow")[:]["items"].combine_chunks()
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    items = column.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
    return np.repeat(np.arange(len(lengths)), lengths), items
