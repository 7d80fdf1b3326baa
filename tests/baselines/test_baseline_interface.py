"""What all baselines share: shapes, saving, refusing to score before they are fitted, their configs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import datasets
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from divrec.baselines import Baseline
from divrec.baselines.base import Interactions
from divrec.batch import Batch, Catalogue
from divrec.errors import ConfigError

CONF = Path(__file__).parents[2] / "conf" / "model"
BatchOf = Callable[..., Batch]
KINDS = sorted(
    path.stem
    for path in CONF.glob("*.yaml")
    if OmegaConf.load(path).get("_target_", "").startswith("divrec.baselines.")
)


def test_every_baseline_is_under_contract() -> None:
    assert len(KINDS) >= 7


def _configured(name: str) -> Baseline:
    config = OmegaConf.create({"seed": 3, "model": OmegaConf.load(CONF / f"{name}.yaml")})
    baseline = instantiate(config.model)
    assert isinstance(baseline, Baseline)
    return baseline


@pytest.mark.parametrize("name", KINDS)
def test_scores_every_item_for_every_query(
    name: str, train: datasets.Dataset, catalogue: Catalogue, batch_of: BatchOf
) -> None:
    baseline = _configured(name)
    baseline.fit(train, catalogue)
    output = baseline(batch_of([0, 3, 4], [{1: 1.0, 2: 0.5}, {}, {4: 1.0}]))
    assert output.scores_QN.shape == (3, 6)
    assert output.scores_QN.isfinite().all()
    assert output.users_QD is None
    assert output.items_ND is None
    assert not output.scores_QN.requires_grad
    assert float(output.scores_QN.std()) > 0


@pytest.mark.parametrize("name", KINDS)
def test_what_is_saved_is_all_that_was_fitted(
    name: str, train: datasets.Dataset, catalogue: Catalogue, batch_of: BatchOf
) -> None:
    fitted, loaded = _configured(name), _configured(name)
    fitted.fit(train, catalogue)
    loaded.load_state_dict(fitted.state_dict())
    batch = batch_of([0, 3], [{1: 1.0}, {2: 0.5}])
    assert torch.equal(loaded(batch).scores_QN, fitted(batch).scores_QN)
    assert not list(fitted.parameters())


@pytest.mark.parametrize("name", KINDS)
def test_refuses_to_score_before_it_is_fitted(name: str, batch_of: BatchOf) -> None:
    with pytest.raises(ConfigError, match="learned nothing"):
        _configured(name)(batch_of([0], [{1: 1.0}]))


@pytest.mark.parametrize("name", KINDS)
def test_a_split_without_users_can_be_fitted(
    name: str, train: datasets.Dataset, catalogue: Catalogue, batch_of: BatchOf
) -> None:
    baseline = _configured(name)
    baseline.fit(train.select([]), catalogue)
    assert baseline(batch_of([0], [{1: 1.0}])).scores_QN.shape == (1, 6)


def test_a_batch_without_users_has_no_scores(train: datasets.Dataset, catalogue: Catalogue, batch_of: BatchOf) -> None:
    for name in KINDS:
        baseline = _configured(name)
        baseline.fit(train, catalogue)
        assert baseline(batch_of([], [])).scores_QN.shape == (0, 6)


def test_interactions_follow_a_selection_of_rows(train: datasets.Dataset) -> None:
    events = Interactions.of(train.select([3, 1]))
    assert events.users.tolist() == [0, 1, 1]
    assert events.items.tolist() == [4, 1, 2]
    assert events.times.tolist() == [0, 0, 1]


@pytest.mark.parametrize("name", KINDS)
def test_scores_do_not_depend_on_the_batch(
    name: str, train: datasets.Dataset, catalogue: Catalogue, batch_of: BatchOf
) -> None:
    baseline = _configured(name)
    baseline.fit(train, catalogue)
    together = baseline(batch_of([0, 3, 4], [{1: 1.0, 2: 0.5}, {0: 1.0}, {4: 1.0}])).scores_QN
    alone = baseline(batch_of([4], [{4: 1.0}])).scores_QN
    torch.testing.assert_close(alone[0], together[2])
