"""Low-rank adapters."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from divrec.errors import check_number
from divrec.models.text_table import TableSettings
from divrec.models.tuning.peft_methods import inject
from divrec.models.tuning.trained import TrainedTuning


class Lora(TrainedTuning):
    """Low-rank adapters beside the projections of the attention (Hu et al. 2021, arXiv:2106.09685).

    Args:
        rank: of the adapters; more = more weights.
        alpha: an adapter's output is scaled by alpha / rank.
        dropout: share of an adapter's input that is left out of a step, in [0, 1): 0 = none, more = rougher steps.
        targets: names of the modules that get one; None = peft's choice for the family (query and value).
        table: how the vectors of the texts that carry no gradient stay up to date.
        cached_below_top: see `TrainedTuning`; the adapters then sit in the top layers only.
    """

    adds_weights = True

    def __init__(
        self,
        rank: int = 8,
        alpha: int = 16,
        dropout: float = 0.0,
        targets: Sequence[str] | None = None,
        table: TableSettings | None = None,
        cached_below_top: int | None = None,
    ) -> None:
        super().__init__(table, cached_below_top)
        check_number("tuning.rank", rank, least=1, whole=True)
        check_number("tuning.alpha", alpha, least=1, whole=True)
        check_number("tuning.dropout", dropout, least=0, below=1)
        self.rank, self.alpha, self.dropout = rank, alpha, dropout
        self.targets = None if targets is None else list(targets)

    def adapt(self, model: nn.Module) -> nn.Module:
        """Add the adapters."""
        from peft import LoraConfig

        config = LoraConfig(r=self.rank, lora_alpha=self.alpha, lora_dropout=self.dropout, target_modules=self.targets)
        return inject(config, model)
