"""Batch -> ModelOutput: the language model, the item and user towers. Knows no loss and no Lightning."""

from divrec.models.build import ItemTexts, TwoTower
from divrec.models.encoder import TextEncoder, Whitening, packaged_model
from divrec.models.item import ItemTower
from divrec.models.recommender import Recommender
from divrec.models.tuning import Frozen, Full
from divrec.models.user import AttentionUser, MeanUser

__all__ = [
    "AttentionUser",
    "Frozen",
    "Full",
    "ItemTexts",
    "ItemTower",
    "MeanUser",
    "Recommender",
    "TextEncoder",
    "TwoTower",
    "Whitening",
    "packaged_model",
]
