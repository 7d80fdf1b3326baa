"""How far the language model is trained along: builders of the text tower, one file a method."""

from divrec.models.encoder import distinct, text_vectors
from divrec.models.text_table import TableSettings
from divrec.models.tuning.adapter import Adapter
from divrec.models.tuning.frozen import FixedVectors, Frozen
from divrec.models.tuning.full import Full
from divrec.models.tuning.ia3 import Ia3
from divrec.models.tuning.lora import Lora
from divrec.models.tuning.prefix import Prefix
from divrec.models.tuning.protocol import Tuning
from divrec.models.tuning.top_layers import TopLayers

__all__ = [
    "Adapter",
    "FixedVectors",
    "Frozen",
    "Full",
    "Ia3",
    "Lora",
    "Prefix",
    "TableSettings",
    "TopLayers",
    "Tuning",
    "distinct",
    "text_vectors",
]
