"""Learned keys and values before each text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from divrec.errors import ConfigError, check_number
from divrec.models.encoder import TextEncoder, Whitening
from divrec.models.encoder.positions import check_positions
from divrec.models.text_table import TableSettings
from divrec.models.tuning.trained import TrainedTuning


class Prefix(TrainedTuning):
    """Each layer attends to learned keys and values before the text (Li and Liang 2021, arXiv:2101.00190).

    The prefix is random at first, so the vectors do not start where the frozen ones are. For families whose
    attention takes keys and values from outside: BERT, RoBERTa, GPT-2, Llama, Qwen; not DeBERTa or T5.

    Args:
        length: of the prefix, in virtual tokens.
        table: how the vectors of the texts that carry no gradient stay up to date.
    """

    starts_as_frozen = False
    adds_weights = True

    def __init__(self, length: int = 10, table: TableSettings | None = None) -> None:
        super().__init__(table)
        check_number("tuning.length", length, least=1, whole=True)
        self.length = length

    def __call__(
        self, encoder: TextEncoder, texts: Sequence[str], whitening: Whitening, vectors_TW: Tensor
    ) -> nn.Module:
        """A tower that owns the language model.

        Raises:
            ConfigError: as any tuning, with gradient checkpointing, which peft's prefixes do not survive, and where
                prefix and text have more tokens than the model has positions.
        """
        if encoder.runtime.gradient_checkpointing:
            raise ConfigError(
                "a prefix cannot be trained with gradient checkpointing",
                where="encoder.runtime.gradient_checkpointing",
                got=True,
                mend="Set it to false, or choose tuning=lora, ia3 or adapter.",
            )
        longest = max(map(len, encoder.token_ids(texts)))
        check_positions(encoder.load()[0], longest, encoder.tokens_key, encoder.max_tokens, taken=self.length)
        return super().__call__(encoder, texts, whitening, vectors_TW)

    def adapt(self, model: nn.Module) -> nn.Module:
        """Add the prefix.

        Raises:
            ConfigError: if the model cannot take one.
        """
        from peft import PrefixTuningConfig, get_peft_model

        config = PrefixTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=self.length)
        ids, mask = torch.ones(1, 2, dtype=torch.long), torch.tensor([[1, 0]])
        try:
            prefixed: nn.Module = get_peft_model(model, config)
            with torch.no_grad():
                prefixed(input_ids=ids, attention_mask=mask)
        except (RuntimeError, ValueError, TypeError) as error:
            raise ConfigError(
                "this language model takes no prefix",
                where="tuning",
                got=type(model).__name__,
                mend="Choose tuning=lora, ia3 or adapter.",
            ) from error
        return prefixed
