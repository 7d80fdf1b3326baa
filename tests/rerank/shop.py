"""Rankings, catalogues and audiences with all that is awkward: padding, -inf, split categories, empty histories."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.nn.functional import normalize

from divrec.batch import Catalogue, Ranking
from divrec.ranking import rank
from divrec.rerank import Audience, Reranker

CONF = Path(__file__).parents[2] / "conf" / "rerank"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "none")


def configured(name: str, diversity: float, **others: object) -> Reranker:
    """The strategy as `conf/rerank` has it, at one strength."""
    node = OmegaConf.load(CONF / f"{name}.yaml")[name]
    build: Callable[..., Reranker] = instantiate(node)
    return build(diversity=diversity, **others)


def make_catalogue(size: int, seed: int = 0) -> Catalogue:
    """Items in five categories, every third in two of them, in double precision."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(0, 5, (size,), generator=generator)
    split = torch.arange(size) % 3 == 0
    return Catalogue(
        vectors_ND=normalize(torch.randn(size, 5, generator=generator, dtype=torch.float64), dim=-1),
        categories_NJ=torch.stack([first, torch.where(split, (first + 1) % 5, 0)], dim=-1),
        category_weights_NJ=torch.stack([torch.where(split, 0.7, 1.0), torch.where(split, 0.3, 0.0)], dim=-1).double(),
        category_count=5,
        counts_N=torch.randint(0, 40, (size,), generator=generator),
    )


def make_ranking(users: int, size: int, top: int, seed: int = 0, lowest: float = 0.0) -> Ranking:
    """Random scores far from unit scale; a share `lowest` at -inf; the first user has seen nothing."""
    generator = torch.Generator().manual_seed(seed)
    scores_BN = 30 * torch.randn(users, size, generator=generator, dtype=torch.float64) + 7
    scores_BN = scores_BN.masked_fill(torch.rand(users, size, generator=generator) < lowest, -math.inf)
    seen_BS = torch.randint(0, size + 1, (users, size), generator=generator)
    seen_BS[0] = size
    return rank(scores_BN, torch.full((users, 1), -1), seen_BS, top, torch.arange(size))


def make_audience(users: int, size: int, seed: int = 0) -> Audience:
    """Weighted histories of up to six items; the first user has none."""
    generator = torch.Generator().manual_seed(seed + 1)
    seen_BS = torch.randint(0, size + 1, (users, 6), generator=generator)
    seen_BS[0] = size
    history_BS = torch.rand(users, 6, generator=generator, dtype=torch.float64) * (seen_BS < size)
    return Audience(torch.arange(users) + 11, seen_BS, history_BS)


def rows(ranking: Ranking, order: torch.Tensor) -> Ranking:
    """Some users of a ranking, in some order."""
    return Ranking(*(getattr(ranking, name)[order] for name in ranking.__dataclass_fields__))


def audience_rows(audience: Audience, order: torch.Tensor) -> Audience:
    """The same of an audience."""
    return Audience(audience.users_B[order], audience.seen_BS[order], audience.history_BS[order])
