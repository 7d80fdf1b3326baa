"""What every implementation that conf/ lists is put through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from divrec.batch import Catalogue
from divrec.run.door import CONF

ITEMS, CATEGORIES = 60, 6


def options(group: str) -> list[str]:
    """The options of a group, as they lie on disk; `none` is no implementation."""
    return sorted(path.stem for path in Path(CONF, group).glob("*.yaml") if path.stem != "none")


@pytest.fixture
def configured() -> Iterator[Callable[..., DictConfig]]:
    """The training config with these overrides."""
    with initialize_config_dir(CONF, version_base="1.3"):
        yield lambda *overrides: compose("train", overrides=list(overrides))


@pytest.fixture
def tidy() -> Catalogue:
    """60 items in 6 categories; like texts lie in one category, and the first items are the popular ones."""
    categories_N = torch.arange(ITEMS) % CATEGORIES
    noise_ND = 0.1 * torch.randn(ITEMS, CATEGORIES, generator=torch.Generator().manual_seed(2))
    return Catalogue(
        vectors_ND=torch.nn.functional.normalize(torch.eye(CATEGORIES)[categories_N] + noise_ND, dim=-1),
        categories_NJ=categories_N.unsqueeze(-1),
        category_weights_NJ=torch.ones(ITEMS, 1),
        category_count=CATEGORIES,
        counts_N=1000 // torch.arange(1, ITEMS + 1),
    )
