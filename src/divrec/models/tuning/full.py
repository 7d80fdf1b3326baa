"""Every weight of the language model is trained."""

from __future__ import annotations

from torch import nn

from divrec.models.text_table import TableSettings
from divrec.models.tuning.trained import TrainedTuning


class Full(TrainedTuning):
    """Every weight of the language model is trained, end to end through the recommender's loss.

    Args:
        table: how the vectors of the texts that carry no gradient stay up to date.
    """

    def __init__(self, table: TableSettings | None = None) -> None:
        super().__init__(table)

    def adapt(self, model: nn.Module) -> nn.Module:
        """Train everything."""
        return model.requires_grad_(True)
