"""A small shop's data and the smallest model that can learn from it, for fixtures and for processes of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from pytorch_lightning.loggers.logger import DummyLogger
from torch import nn

from divrec.batch import Catalogue, ModelOutput
from divrec.data import BehaviorDataModule, GlobalTime, Preparation, Synthetic
from divrec.metrics import SlateMetrics
from divrec.objectives import CrossEntropy, SoftTopK, TradeoffObjective
from divrec.ranking import tie_order
from divrec.training import GroupedOptimizer, RecommenderModule, Schedule

K = 5
BATCH_USERS = 16
MONITOR = f"validation/ndcg@{K}"


class Biases(nn.Module):
    """A score for each item, and one more for its last predecessor: enough to learn what sells."""

    def __init__(self, size: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.popularity = nn.Parameter(0.1 * torch.randn(size, generator=generator))
        self.next_item = nn.Parameter(0.1 * torch.randn(size, size, generator=generator))

    def forward(self, batch, request=None):
        last_Q = batch.items_BL[batch.query_rows_Q, -1]
        scores_QN = self.popularity + self.next_item[last_Q]
        if request is None:
            return ModelOutput(scores_QN)
        is_last_QN = nn.functional.one_hot(last_Q, len(self.popularity)).to(scores_QN.dtype)
        users_QD = torch.cat([torch.ones_like(is_last_QN[:, :1]), is_last_QN], dim=-1)
        items_ND = torch.cat([self.popularity.unsqueeze(-1), self.next_item.T], dim=-1)
        leading_BN = scores_QN[: batch.users_B.shape[0]] if request.leading else scores_QN[:0, :0]
        return ModelOutput(leading_BN, users_QD, items_ND)


class Log(DummyLogger):
    """A logger that keeps everything."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, dict[str, float]]] = []

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.rows.append((step, dict(metrics)))


def open_shop(folder: Path) -> BehaviorDataModule:
    """Three batches of 16 users an epoch."""
    preparation = Preparation(3, event_weights={"view": 0.2, "cart": 0.5, "purchase": 1.0})
    source = Synthetic(users=60, items=40, days=40, categories=4)
    module = BehaviorDataModule(
        source, preparation, GlobalTime(8, 8), folder, batch_size=BATCH_USERS, steps_per_epoch=3
    )
    module.setup()
    return module


def catalogue_of(data: BehaviorDataModule) -> Catalogue:
    """Random vectors and four categories."""
    size = data.manifest["items"]
    generator = torch.Generator().manual_seed(0)
    return Catalogue(
        vectors_ND=nn.functional.normalize(torch.randn(size, 6, generator=generator), dim=-1),
        categories_NJ=torch.arange(size).unsqueeze(-1) % 4,
        category_weights_NJ=torch.ones(size, 1),
        category_count=4,
        counts_N=torch.as_tensor(data.catalogue["count"]),
    )


def module_of(
    catalogue: Catalogue,
    schedule: Schedule,
    regularizers: Mapping[str, Callable[[Catalogue], nn.Module]],
    beta: float = 0.0,
    scale: str = "gradient",
    metrics: SlateMetrics | None = None,
) -> RecommenderModule:
    """A module with fresh weights, the same every time."""
    built = {name: kind(catalogue) for name, kind in dict(regularizers).items()}
    return RecommenderModule(
        Biases(catalogue.size),
        TradeoffObjective(CrossEntropy(), built, SoftTopK(K, top=20), beta, scale),
        metrics or SlateMetrics(catalogue, K),
        GroupedOptimizer(torch.optim.AdamW, schedule.learning_rate, weight_decay=0.01),
        schedule,
        tie_order(catalogue.size, 0),
    )
