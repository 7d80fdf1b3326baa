"""The tiny shop and its finished sweep."""

from run.tiny import tiny_shop, tiny_sweep

__all__ = ["tiny_shop", "tiny_sweep"]
