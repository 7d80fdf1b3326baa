"""Learned scales of activations."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from divrec.models.text_table import TableSettings
from divrec.models.tuning.peft_methods import inject
from divrec.models.tuning.trained import TrainedTuning


class Ia3(TrainedTuning):
    """Keys, values and inner activations are scaled by learned vectors (Liu et al. 2022, arXiv:2205.05638).

    Args:
        targets: names of the modules whose outputs are scaled; None = peft's choice for the family.
        feedforward: those among them whose input is scaled instead; None = peft's choice.
        table: how the vectors of the texts that carry no gradient stay up to date.
        cached_below_top: see `TrainedTuning`; the scales then sit in the top layers only.
    """

    adds_weights = True

    def __init__(
        self,
        targets: Sequence[str] | None = None,
        feedforward: Sequence[str] | None = None,
        table: TableSettings | None = None,
        cached_below_top: int | None = None,
    ) -> None:
        super().__init__(table, cached_below_top)
        self.targets = None if targets is None else list(targets)
        self.feedforward = None if feedforward is None else list(feedforward)

    def adapt(self, model: nn.Module) -> nn.Module:
        """Add the scales."""
        from peft import IA3Config

        return inject(IA3Config(target_modules=self.targets, feedforward_modules=self.feedforward), model)
