"""How long a text a language model can read: families that learn a vector for each position have an end."""

from __future__ import annotations

from typing import Any

from torch import nn

from divrec.errors import ConfigError

_TABLES = ("position_embeddings", "wpe", "embed_positions")  # BERT and its like, GPT-2 and GPT-Neo, OPT and BART


def positions(model: nn.Module) -> int | None:
    """Tokens that the model has positions for; None = no end (T5, Llama and others that compute with distances).

    RoBERTa counts from its padding token's number + 1 on, so it reads two tokens fewer than its table is long; OPT and
    BART have an offset of their own.
    """
    tables = [
        module
        for name, module in model.named_modules()
        if name.split(".")[-1] in _TABLES and isinstance(module, nn.Embedding)
    ]
    return min(map(_usable, tables), default=None)


def check_positions(model: nn.Module, longest: int, key: str, got: int, taken: int = 0) -> None:
    """Refuse sequences that the model has no positions for.

    Args:
        model: the language model.
        longest: tokens of the longest sequence.
        key: the config key that cuts sequences.
        got: its value.
        taken: positions that something else stands on.

    Raises:
        ConfigError: there are fewer positions.
    """
    known = positions(model)
    if known is None or longest <= known - taken:
        return
    raise ConfigError(
        f"the language model has positions for {known - taken} tokens, and there are texts of {longest}",
        where=key,
        got=got,
        mend=f"Set it to {known - taken} at most.",
    )


def _usable(table: Any) -> int:  # noqa: ANN401 - some have an offset
    if table.padding_idx is not None:
        return int(table.num_embeddings) - int(table.padding_idx) - 1
    return int(table.num_embeddings) - int(getattr(table, "offset", 0))
