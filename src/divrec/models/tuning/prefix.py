"""Learned keys and values before each text."""

from __future__ import annotations

from torch import nn

from divrec.errors import check_number
from divrec.models.text_table import TableSettings
from divrec.models.tuning.trained import TrainedTuning


class Prefix(TrainedTuning):
    """Each layer attends to learned keys and values before the text (Li and Liang 2021, arXiv:2101.00190).

    The prefix is random at first, so the vectors do not start where the frozen ones are. Decoders only: transformers'
    encoders take no keys and values from outside.

    Args:
        length: of the prefix, in virtual tokens.
        table: how the vectors of the texts that carry no gradient stay up to date.
    """

    starts_as_frozen = False

    def __init__(self, length: int = 10, table: TableSettings | None = None) -> None:
        super().__init__(table)
        check_number("tuning.length", length, least=1, whole=True)
        self.length = length

    def adapt(self, model: nn.Module) -> nn.Module:
        """Add the prefix."""
        from peft import PrefixTuningConfig, get_peft_model

        return get_peft_model(model, PrefixTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=self.length))
