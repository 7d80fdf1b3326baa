"""Fixtures around the small shop."""

from __future__ import annotations

from functools import partial

import pytest
import pytorch_lightning as pl

from divrec.batch import Catalogue
from divrec.data import BehaviorDataModule
from divrec.training import RecommenderModule, Schedule
from training.shop import catalogue_of, module_of, open_shop


@pytest.fixture
def data(tmp_path) -> BehaviorDataModule:
    return open_shop(tmp_path)


@pytest.fixture
def shop_catalogue(data) -> Catalogue:
    return catalogue_of(data)


@pytest.fixture
def make_module(shop_catalogue):
    """A module with fresh weights, the same every time."""

    def make(schedule: Schedule, regularizers=(), beta=0.0, scale="gradient", metrics=None) -> RecommenderModule:
        return module_of(shop_catalogue, schedule, dict(regularizers), beta, scale, metrics)

    return make


@pytest.fixture
def trainer():
    return partial(pl.Trainer, accelerator="cpu", devices=1, log_every_n_steps=1)
