"""What all baselines share: fitted once on the training split, then scored like any model.

Shapes: N items, Q queries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from divrec.batch import Batch, Catalogue, ModelOutput
from divrec.errors import ConfigError


@dataclass(frozen=True)
class Interactions:
    """All events of a training split, in the order they are stored.

    Attributes:
        users: row of the user in the split.
        items: rows of the catalogue.
        times: seconds since the epoch; empty where the split has no times.
    """

    users: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]

    @classmethod
    def of(cls, train: datasets.Dataset) -> Interactions:
        """Read a training split."""
        lengths, items = _flat(train, "items")
        times = _flat(train, "times")[1] if "times" in train.column_names else np.empty(0, np.int64)
        return cls(np.repeat(np.arange(len(lengths)), lengths), items, times)


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
            train: a row a user, with columns `user`, `items` (events in time order, rows of the catalogue), `times`.
            catalogue: the items that can be ranked.
        """
        self.fit_events(Interactions.of(train), catalogue)

    def fit_events(self, events: Interactions, catalogue: Catalogue) -> None:
        """Learn from events that have been read already."""
        device = self.fitted.device
        self._fit(events, catalogue)
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
    def _fit(self, events: Interactions, catalogue: Catalogue) -> None:
        """Fill the buffers."""

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


def _flat(train: datasets.Dataset, column: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lengths of a column's lists, and their content one after another."""
    lists = train.select_columns(column).with_format("arrow")[:][column].combine_chunks()
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths, lists.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
