"""A small shop's data and the smallest model that can learn from it."""

from __future__ import annotations

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from divrec.batch import Catalogue, ModelOutput
from divrec.data import BehaviorDataModule, GlobalTime, Preparation, Synthetic
from divrec.metrics import SlateMetrics
from divrec.objectives import CrossEntropy, SoftTopK, TradeoffObjective
from divrec.ranking import tie_order
from divrec.training import RecommenderModule, Schedule

K = 5


class Biases(nn.Module):
    """A score for each item, and one more for its last predecessor: enough to learn what sells."""

    def __init__(self, size: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.popularity = nn.Parameter(0.1 * torch.randn(size, generator=generator))
        self.next_item = nn.Parameter(0.1 * torch.randn(size, size, generator=generator))

    def forward(self, batch):
        last_Q = batch.items_BL[batch.query_rows_Q, -1]
        return ModelOutput(self.popularity + self.next_item[last_Q])


@pytest.fixture
def data(tmp_path) -> BehaviorDataModule:
    preparation = Preparation(3, event_weights={"view": 0.2, "cart": 0.5, "purchase": 1.0})
    source = Synthetic(users=60, items=40, days=40, categories=4)
    module = BehaviorDataModule(source, preparation, GlobalTime(8, 8), tmp_path, batch_size=16, steps_per_epoch=3)
    module.setup()
    return module


@pytest.fixture
def shop_catalogue(data) -> Catalogue:
    size = data.manifest["items"]
    return Catalogue(
        vectors_ND=nn.functional.normalize(torch.randn(size, 6), dim=-1),
        categories_NJ=torch.arange(size).unsqueeze(-1) % 4,
        category_weights_NJ=torch.ones(size, 1),
        category_count=4,
        counts_N=torch.as_tensor(data.catalogue["count"]),
    )


@pytest.fixture
def make_module(shop_catalogue):
    """A module with fresh weights, the same every time."""

    def make(schedule: Schedule, regularizers=(), beta=0.0, scale="gradient", metrics=None) -> RecommenderModule:
        size = shop_catalogue.size
        built = {name: kind(shop_catalogue) for name, kind in dict(regularizers).items()}
        objective = TradeoffObjective(CrossEntropy(), built, SoftTopK(K, top=20), beta, scale)
        measured = metrics or SlateMetrics(shop_catalogue, K)
        optimizer = partial(torch.optim.AdamW, lr=schedule.learning_rate)
        return RecommenderModule(Biases(size), objective, measured, optimizer, schedule, tie_order(size, 0))

    return make


@pytest.fixture
def trainer():
    return partial(pl.Trainer, accelerator="cpu", devices=1, log_every_n_steps=1)
