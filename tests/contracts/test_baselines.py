"""Every baseline of conf/model. (Re-rankers have a suite of their own: tests/rerank/test_contract.py.)"""

from __future__ import annotations

import datasets
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig

from contracts.conftest import ITEMS, options
from divrec import schema
from divrec.baselines import Baseline
from divrec.run.door import CONF


@pytest.fixture(scope="module")
def configs() -> dict[str, DictConfig]:
    """Of the options of conf/model that are baselines."""
    with initialize_config_dir(CONF, version_base="1.3"):
        models = {name: compose("train", overrides=[f"model={name}"]).model for name in options("model")}
    return {name: each for name, each in models.items() if isinstance(instantiate(each), Baseline)}


@pytest.fixture
def train():
    histories = [[user, (user + 1) % ITEMS, 3, 3] for user in range(12)]
    rows = {
        "user_id": [f"u{user}" for user in range(12)],
        "user": list(range(12)),
        "items": histories,
        "times": [[0, 1, 2, 3]] * 12,
        "events": [[0] * 4] * 12,
    }
    return datasets.Dataset.from_dict(rows, features=schema.sequence_features())


def test_the_sweeps_baselines_are_among_them(configs):
    assert {"random", "popular", "item_knn"} <= set(configs)


def test_a_baseline_scores_every_item_and_restores_from_its_state(configs, train, tidy, make_batch):
    for name, config in configs.items():
        model = instantiate(config)
        model.fit(train, tidy)
        batch = make_batch()
        output = model(batch)
        assert output.scores_QN.shape == (8, ITEMS), name
        assert torch.isfinite(output.scores_QN).all(), name
        assert not list(model.parameters()), name
        assert torch.equal(output.scores_QN, model(batch).scores_QN), name
        again = instantiate(config)
        again.load_state_dict(model.state_dict())
        assert torch.equal(again(batch).scores_QN, output.scores_QN), name


def test_a_baseline_scores_a_user_without_history(configs, train, tidy, make_batch):
    batch = make_batch()
    batch.history_QS.zero_()
    batch.seen_QS.fill_(ITEMS)
    for name, config in configs.items():
        model = instantiate(config)
        model.fit(train, tidy)
        assert torch.isfinite(model(batch).scores_QN).all(), name
