"""The tiny shop, its finished sweep, and sweeps that are only planned."""

from run.planned import plan
from run.tiny import tiny_shop, tiny_sweep

__all__ = ["plan", "tiny_shop", "tiny_sweep"]
