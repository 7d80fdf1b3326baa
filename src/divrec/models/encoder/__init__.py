"""Texts -> vectors: loading a language model of any family, pooling, whitening, the cache."""

from divrec.models.encoder.loading import Runtime, check_trainable_weights
from divrec.models.encoder.packages import packaged_model
from divrec.models.encoder.pooling import pool
from divrec.models.encoder.text_encoder import TextEncoder
from divrec.models.encoder.texts import distinct, text_vectors
from divrec.models.encoder.whitening import Whitening

__all__ = [
    "Runtime",
    "TextEncoder",
    "Whitening",
    "check_trainable_weights",
    "distinct",
    "packaged_model",
    "pool",
    "text_vectors",
]
