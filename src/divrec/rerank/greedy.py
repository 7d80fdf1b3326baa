"""One item at a time: the loop that set-wise strategies share.

Shapes: B users, M candidates, D dimension.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor


class Bonus(Protocol):
    """What a candidate adds to the items chosen so far."""

    def value(self) -> Tensor:
        """The bonus of every candidate now, (B, M), finite."""

    def add(self, chosen_B: Tensor) -> None:
        """Take note of each user's choice (place in the pool)."""


def choose(base_BM: Tensor, bonus: Bonus, weight: float, k: int) -> Tensor:
    """Places of k items, each in its turn that of the greatest base + weight * bonus; ties go to the first place.

    Args:
        base_BM: what does not change; overwritten.
        bonus: what depends on the choice so far.
        weight: of the bonus.
        k: number of items.

    Returns:
        (B, k), in the order of choice.
    """
    chosen_BK = torch.empty(base_BM.shape[0], k, dtype=torch.int64, device=base_BM.device)
    gain_BM = torch.empty_like(base_BM)
    for step in range(k):
        torch.add(base_BM, bonus.value(), alpha=weight, out=gain_BM)
        best_B = argmax(gain_BM)
        chosen_BK[:, step] = best_B
        if step + 1 < k:
            base_BM.scatter_(1, best_B.unsqueeze(-1), -torch.inf)
            bonus.add(best_B)
    return chosen_BK


def argmax(values_BM: Tensor) -> Tensor:
    """Place of the first greatest value of each row."""
    if values_BM.device.type != "cpu":
        return values_BM.argmax(-1)
    return torch.from_numpy(values_BM.numpy().argmax(-1))  # vectorized, where torch's is not


def products(vectors_BMD: Tensor, single_BD: Tensor) -> Tensor:
    """Inner products (B, M) of each user's vectors with one vector of that user."""
    if vectors_BMD.device.type != "cpu":
        return (vectors_BMD @ single_BD.unsqueeze(-1)).squeeze(-1)
    # torch multiplies a batch of matrices by vectors six times slower than numpy on one core
    return torch.from_numpy(np.matmul(vectors_BMD.numpy(), single_BD.numpy()[..., None])).squeeze(-1)


def row_of(vectors_BMD: Tensor, place_B: Tensor) -> Tensor:
    """Each user's vector (B, D) at one place."""
    return vectors_BMD[torch.arange(place_B.shape[0], device=place_B.device), place_B]


def pool_vectors(vectors_ND: Tensor, items_BM: Tensor) -> Tensor:
    """The vectors (B, M, D) of the candidates; `index_select` copies whole rows, several times faster than indexing."""
    return vectors_ND.index_select(0, items_BM.flatten()).view(*items_BM.shape, vectors_ND.shape[1])


def top(gain_BM: Tensor, k: int) -> Tensor:
    """Places (B, k) of the greatest gains where no choice depends on another; ties go to the first place."""
    return gain_BM.sort(dim=-1, descending=True, stable=True).indices[:, :k]
