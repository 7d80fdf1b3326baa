"""PCA whitening: from the PLM's raw vectors to unit vectors whose cosines mean something.

Shapes: T texts, D width of the model, W components kept.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Whitening(nn.Module):
    """PCA whitening and unit length: PLM vectors lie in a narrow cone, where a cosine means little.

    Args:
        vectors_TD: vectors of the distinct texts that fix the transform.
        width: components kept (fewer where the texts span fewer).
    """

    mean_D: Tensor
    projection_DW: Tensor

    def __init__(self, vectors_TD: Tensor, width: int = 128) -> None:
        super().__init__()
        exact_TD = vectors_TD.double()
        mean_D = exact_TD.mean(0)
        _, singular, components = torch.linalg.svd(exact_TD - mean_D, full_matrices=False)
        rank = int((singular > 1e-6 * singular[0].clamp(min=1e-12)).sum())
        kept = max(1, min(width, rank))
        scale = (max(len(vectors_TD) - 1, 1) ** 0.5) / singular[:kept].clamp(min=1e-12)
        self.register_buffer("mean_D", mean_D.float())
        self.register_buffer("projection_DW", (components[:kept].T * scale).float())

    @property
    def width(self) -> int:
        """Components kept."""
        return self.projection_DW.shape[1]

    def forward(self, vectors_TD: Tensor) -> Tensor:
        """Whitened unit vectors (T, W)."""
        return nn.functional.normalize((vectors_TD - self.mean_D) @ self.projection_DW, dim=-1)
