"""Batch -> ModelOutput: the language model, the item and user towers. Knows no loss and no Lightning."""

from divrec.models.build import ItemTexts, TwoTower
from divrec.models.encoder import Runtime, TextEncoder, Whitening, packaged_model
from divrec.models.item import ItemTower
from divrec.models.recommender import Recommender
from divrec.models.text_table import TableSettings, TextTable
from divrec.models.tuning import Adapter, Frozen, Full, Ia3, Lora, Prefix, TopLayers
from divrec.models.user import AttentionUser, MeanUser

__all__ = [
    "Adapter",
    "AttentionUser",
    "Frozen",
    "Full",
    "Ia3",
    "ItemTexts",
    "ItemTower",
    "Lora",
    "MeanUser",
    "Prefix",
    "Recommender",
    "Runtime",
    "TableSettings",
    "TextEncoder",
    "TextTable",
    "TopLayers",
    "TwoTower",
    "Whitening",
    "packaged_model",
]
