"""What diversity was measured with, as two short hashes: runs whose hashes differ do not compare in such metrics."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

from divrec.analysis.rulers import CATEGORIES, VECTORS
from divrec.batch import Catalogue
from divrec.similarity import similarity

_QUESTIONS = 96
_MARGIN = 0.005  # in similarity; items with one text are a tie, and rounding must not break it


def ruler(catalogue: Catalogue) -> dict[str, str]:
    """Hashes of the frozen vectors and of the items' categories.

    That of the vectors are answers to 96 questions "is item a nearer to b than to c, by a margin?" on a fixed draw of
    items (as random projections are hashed, Charikar 2002). All metrics read the vectors through such similarities, so
    it stays the same under what moves none of them: rounding of another device or number of threads, and rotation.
    Categories are hashed byte for byte.
    """
    a, b, c = torch.as_tensor(np.random.default_rng(0).integers(0, catalogue.size, (3, _QUESTIONS)))
    vectors_ND = catalogue.vectors_ND.detach().cpu().double()
    closer = (_similarity(vectors_ND, a, b) - _similarity(vectors_ND, a, c)) > _MARGIN
    parts = (catalogue.categories_NJ, catalogue.category_weights_NJ)
    assigned = b"".join(each.detach().cpu().contiguous().numpy().tobytes() for each in parts)
    return {
        VECTORS: np.packbits(closer.numpy()).tobytes().hex(),
        CATEGORIES: hashlib.blake2b(assigned, digest_size=12).hexdigest(),
    }


def _similarity(vectors_ND: torch.Tensor, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return similarity(vectors_ND[one].unsqueeze(1), vectors_ND[other].unsqueeze(1)).flatten()
