"""The small shop with a language model of three layers in it, for fixtures and for processes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import nn

from divrec.data import BehaviorDataModule
from divrec.metrics import SlateMetrics
from divrec.models import AttentionUser, ItemTexts, Recommender, TextEncoder, TwoTower
from divrec.models.tuning import Tuning
from divrec.objectives import CrossEntropy, Simpson, SoftTopK, TradeoffObjective
from divrec.ranking import tie_order
from divrec.training import GroupedOptimizer, RecommenderModule, Schedule
from training.shop import K, catalogue_of

TEXTS = ["red apple", "green pear bread", "blue", "soft plum milk red"]  # few: each process meets all in every step


def text_model(data: BehaviorDataModule, plm: Path, tuning: Tuning, texts: Sequence[str] = TEXTS) -> Recommender:
    """A two-tower model with fresh weights, the same every time, and without dropout.

    Args:
        data: the shop.
        plm: folder of the language model.
        tuning: how far it is trained along.
        texts: that the items have in turn.
    """
    catalogue, encoder = catalogue_of(data), TextEncoder(str(plm))
    titles = [texts[number % len(texts)] for number in range(catalogue.size)]
    encoded = ItemTexts.encode(encoder, titles, plm / "vectors", width=3)
    torch.manual_seed(0)
    recipe = TwoTower(partial(AttentionUser, dropout=0.0), dim=8, hidden=12)
    return without_dropout(recipe(encoder, tuning, encoded, 1, catalogue.counts_N))


def text_module(
    data: BehaviorDataModule,
    plm: Path,
    tuning: Tuning,
    schedule: Schedule,
    beta: float,
    texts: Sequence[str] = TEXTS,
) -> RecommenderModule:
    """The module that trains this model; beta weighs Simpson's index at the scale of the gradients."""
    catalogue = catalogue_of(data)
    # A large epsilon: where a gradient is rounding alone, Adam would blow it up to a full step.
    optimizer = partial(torch.optim.AdamW, eps=1e-3)
    return RecommenderModule(
        text_model(data, plm, tuning, texts),
        TradeoffObjective(CrossEntropy(), {"simpson": Simpson(catalogue)}, SoftTopK(K, top=20), beta),
        SlateMetrics(catalogue, K),
        GroupedOptimizer(optimizer, schedule.learning_rate, weight_decay=0.01),
        schedule,
        tie_order(catalogue.size, 0),
    )


def without_dropout(model: nn.Module) -> nn.Module:
    """Processes would draw other masks than one that is alone."""
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        if isinstance(getattr(part, "dropout", None), float):  # T5's attention
            part.dropout = 0.0
    return model
