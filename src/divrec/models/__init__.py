"""Batch -> ModelOutput: the language model, the item and user towers. Knows no loss and no Lightning."""

from divrec.models.build import ItemTexts, TwoTower
from divrec.models.cross_encoder import CrossEncoder, CrossEncoderRecommender
from divrec.models.dial import Dial, changed_weights
from divrec.models.dial_files import load_dial, save_dial
from divrec.models.encoder import Runtime, TextEncoder, Whitening, packaged_model
from divrec.models.item import ItemTower
from divrec.models.pair_scorer import PairScorer
from divrec.models.recommender import Recommender
from divrec.models.text_table import TableSettings, TextTable
from divrec.models.tuning import Adapter, Frozen, Full, Ia3, Lora, Prefix, TopLayers
from divrec.models.tuning.layers import layer_stack
from divrec.models.user import AttentionProfileUser, AttentionUser, MeanUser, ProfileUser

__all__ = [
    "Adapter",
    "AttentionProfileUser",
    "AttentionUser",
    "CrossEncoder",
    "CrossEncoderRecommender",
    "Dial",
    "Frozen",
    "Full",
    "Ia3",
    "ItemTexts",
    "ItemTower",
    "Lora",
    "MeanUser",
    "PairScorer",
    "Prefix",
    "ProfileUser",
    "Recommender",
    "Runtime",
    "TableSettings",
    "TextEncoder",
    "TextTable",
    "TopLayers",
    "TwoTower",
    "Whitening",
    "changed_weights",
    "layer_stack",
    "load_dial",
    "packaged_model",
    "save_dial",
]
