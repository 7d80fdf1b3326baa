"""Categories for a catalogue that has none: clusters of the frozen, whitened text vectors."""

from __future__ import annotations

import torch
from torch import Tensor

CLUSTERS = 200
CLUSTER_SOURCE = "clusters of the frozen text vectors"
_ROUNDS = 25
_CHUNK = 1 << 15


def cluster_items(vectors_ND: Tensor, count: int = CLUSTERS, seed: int = 0) -> Tensor:
    """Seeded k-means on unit vectors: the cluster of each item, numbered from 0 without gaps, int64 (N).

    Args:
        vectors_ND: whitened unit vectors; items without a text of their own may share one.
        count: number of clusters; fewer where there are fewer distinct vectors. More = narrower categories.
        seed: of the first centers (k-means++); the same seed gives the same clusters.
    """
    vectors_ND = vectors_ND.detach().double()
    centers_CD = _first_centers(vectors_ND, count, torch.Generator().manual_seed(seed))
    labels_N = _nearest(vectors_ND, centers_CD)
    for _ in range(_ROUNDS):
        sums_CD = torch.zeros_like(centers_CD).index_add_(0, labels_N, vectors_ND)
        sizes_C = torch.bincount(labels_N, minlength=len(centers_CD))
        centers_CD = torch.where((sizes_C > 0).unsqueeze(-1), sums_CD, centers_CD)
        centers_CD = torch.nn.functional.normalize(centers_CD, dim=-1)
        before_N, labels_N = labels_N, _nearest(vectors_ND, centers_CD)
        if torch.equal(before_N, labels_N):
            break
    _, dense_N = torch.unique(labels_N, return_inverse=True)
    return dense_N


def _first_centers(vectors_ND: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """k-means++: each next center is drawn with a chance that grows with its distance from those there are."""
    first = torch.randint(len(vectors_ND), (1,), generator=generator)
    chosen = [int(first)]
    distance_N = _distance(vectors_ND, chosen[0])
    while len(chosen) < count and distance_N.max() > 1e-9:
        chosen.append(int(torch.multinomial(distance_N, 1, generator=generator)))
        distance_N = torch.minimum(distance_N, _distance(vectors_ND, chosen[-1]))
    return vectors_ND[chosen]


def _distance(vectors_ND: Tensor, center: int) -> Tensor:
    return (1 - vectors_ND @ vectors_ND[center]).clamp(min=0)


def _nearest(vectors_ND: Tensor, centers_CD: Tensor) -> Tensor:
    return torch.cat([(part @ centers_CD.T).argmax(-1) for part in torch.split(vectors_ND, _CHUNK)])
