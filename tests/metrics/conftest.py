"""A small catalogue, and lists with gaps, for the metrics."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from divrec.batch import Catalogue


@pytest.fixture
def catalogue() -> Catalogue:
    """Thirty items in five categories, every third item in two of them."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(0, 5, (30,), generator=generator)
    split = torch.arange(30) % 3 == 0
    return Catalogue(
        vectors_ND=normalize(torch.randn(30, 8, generator=generator), dim=-1),
        categories_NJ=torch.stack([first, torch.where(split, (first + 1) % 5, 0)], dim=-1),
        category_weights_NJ=torch.stack([torch.where(split, 0.5, 1.0), torch.where(split, 0.5, 0.0)], dim=-1),
        category_count=5,
        counts_N=torch.randint(0, 40, (30,), generator=generator),
    )
