"""The same list for everyone: what is touched most."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from divrec.baselines.base import Baseline, Interactions
from divrec.batch import Batch, Catalogue
from divrec.errors import ConfigError, DataError

_DAY = 86_400


class Popular(Baseline):
    """Score of an item = its number of training events, of all times or of the last days.

    Args:
        days: only events of that many days before the last training event count; None = all.

    Raises:
        ConfigError: `days` is not positive.
        DataError: at the fit, `days` is given and the split has no times.
    """

    popularity_N: Tensor

    def __init__(self, days: float | None = None) -> None:
        super().__init__()
        if days is not None and not days > 0:
            raise ConfigError("a number of days is positive", where="model.days", got=days)
        self.days = days
        self.register_buffer("popularity_N", torch.empty(0))

    def _fit(self, events: Interactions, catalogue: Catalogue) -> None:
        items = events.items
        if self.days is not None and len(items):
            if len(events.times) != len(items):
                raise DataError("the training split has no times", where="model.days", mend="Use days: null.")
            items = items[events.times > events.times.max() - self.days * _DAY]
        self.popularity_N = torch.from_numpy(np.bincount(items, minlength=catalogue.size)).float()

    def _score(self, batch: Batch) -> Tensor:
        return self.popularity_N.expand(batch.query_rows_Q.shape[0], -1)
