"""The collection: names, values, merging of parts, undefined values, its config."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from divrec.batch import Catalogue, Ranking, Slate
from divrec.errors import ConfigError
from divrec.metrics import SlateMetrics
from divrec.ranking import deliver, rank, tie_order

ACCURACY = {"recall", "precision", "hit_rate", "ndcg", "mrr", "map"}
RELEVANCE = {"alpha_ndcg", "subtopic_recall", "eild", "serendipity"}
LISTS = {"entropy", "simpson", "categories", "ilad", "ilmd", "ilad_category", "ilmd_category", "vendi"}
HISTORY = {"overlap", "beta_divergence", "calibration_kl", "calibration_js", "unexpectedness"}
PER_USER = ACCURACY | RELEVANCE | LISTS | HISTORY | {"popularity", "average_popularity", "long_tail"}
SET_LEVEL = {"coverage", "gini", "effective_coverage"}
Users = tuple[Ranking, Slate, Tensor, Tensor]


def _users(seed: int, count: int, k: int = 10) -> Users:
    generator = torch.Generator().manual_seed(seed)
    scores_BN = torch.randint(0, 50, (count, 30), generator=generator).float()
    targets_BT = torch.stack([torch.randperm(30, generator=generator)[:4] for _ in range(count)])
    seen_BS = torch.randint(0, 31, (count, 6), generator=generator)
    history_BS = torch.rand(count, 6, generator=generator) * (seen_BS < 30)
    ranking = rank(scores_BN, targets_BT, seen_BS, 20, tie_order(30, 0))
    return ranking, deliver(ranking, k), seen_BS, history_BS


@pytest.mark.parametrize("sizes", [10, (5, 10)])
def test_names_are_those_of_the_records(sizes: int | tuple[int, ...], catalogue: Catalogue) -> None:
    metrics = SlateMetrics(catalogue, sizes)
    values = metrics.update(*_users(0, 7))
    tails = (sizes,) if isinstance(sizes, int) else sizes
    assert set(values) == {f"{name}@{k}" for name in PER_USER for k in tails} | {"auc"}
    assert set(metrics.compute()) == set(values) | {f"{name}@{k}" for name in SET_LEVEL for k in tails} | {"auc_pooled"}
    assert tuple(values) == metrics.names
    assert all(value.shape == (7,) and value.dtype == torch.float64 for value in values.values())


def test_computed_means_are_those_of_the_values(catalogue: Catalogue) -> None:
    metrics = SlateMetrics(catalogue)
    parts = [metrics.update(*_users(seed, 5)) for seed in range(3)]
    computed = metrics.compute()
    for name in parts[0]:
        assert computed[name] == pytest.approx(float(torch.cat([part[name] for part in parts]).nanmean())), name
    assert 0 < computed["gini@10"] < 1


def test_adding_the_states_of_two_halves_equals_one_pass(catalogue: Catalogue) -> None:
    left, right, whole = SlateMetrics(catalogue), SlateMetrics(catalogue), SlateMetrics(catalogue)
    for half, users in ((left, _users(0, 9)), (right, _users(1, 4))):
        half.update(*users)
        whole.update(*users)
    for (name, one), (_, other) in zip(left._means(), right._means(), strict=True):
        for state in one._defaults:
            assert one._reductions[state] is torch.sum or "sum" in one._reductions[state].__name__, name
            setattr(one, state, getattr(one, state) + getattr(other, state))
    for name, one in left.shown.items():
        one.exposure_N = one.exposure_N + right.shown[name].exposure_N
    for state in ("won_twice", "pairs"):
        setattr(left.auc_pooled, state, getattr(left.auc_pooled, state) + getattr(right.auc_pooled, state))
    for name, value in whole.compute().items():
        assert left.compute()[name] == pytest.approx(value, rel=1e-12), name


def test_users_without_a_value_are_counted(catalogue: Catalogue) -> None:
    ranking = rank(
        torch.rand(3, 30), torch.tensor([[1], [-1], [2]]), torch.tensor([[30], [30], [2]]), 10, torch.arange(30)
    )
    metrics = SlateMetrics(catalogue)
    values = metrics.update(ranking, deliver(ranking, 10), torch.full((3, 1), 30), torch.zeros(3, 1))
    assert metrics.undefined() == dict.fromkeys(
        ("auc", *(f"{name}@10" for name in ACCURACY | RELEVANCE - {"serendipity"})), 2
    ) | {"serendipity@10": 3, "unexpectedness@10": 3}
    assert metrics.empty_histories() == 3
    assert values["auc"].isnan().tolist() == [False, True, True]


def test_a_reranked_list_moves_accuracy_but_not_auc(catalogue: Catalogue) -> None:
    scores_BN = torch.arange(30, 0, -1).float().expand(2, 30)
    ranking = rank(scores_BN, torch.tensor([[0], [15]]), None, 20, torch.arange(30))
    seen_BS, history_BS = torch.full((2, 1), 30), torch.zeros(2, 1)
    turned = Slate(ranking.items_BM[:, 6:16], ranking.scores_BM[:, 6:16])
    metrics = SlateMetrics(catalogue)
    straight = metrics.update(ranking, deliver(ranking, 10), seen_BS, history_BS)
    reranked = metrics.update(ranking, turned, seen_BS, history_BS)
    assert straight["mrr@10"].tolist() == [1, 0]
    assert reranked["mrr@10"].tolist() == pytest.approx([0, 0.1])
    assert torch.equal(straight["auc"], reranked["auc"])


def test_reset_forgets(catalogue: Catalogue) -> None:
    metrics = SlateMetrics(catalogue)
    metrics.update(*_users(0, 5))
    metrics.reset()
    metrics.update(*_users(1, 5))
    fresh = SlateMetrics(catalogue)
    fresh.update(*_users(1, 5))
    assert metrics.compute() == pytest.approx(fresh.compute())


def test_keeps_no_catalogue_in_a_checkpoint(catalogue: Catalogue) -> None:
    metrics = SlateMetrics(catalogue)
    metrics.update(*_users(0, 5))
    assert metrics.state_dict() == {}
    assert not list(metrics.parameters())


@pytest.mark.parametrize("k", [0, -3, (), (5, 0)])
def test_lists_of_nothing_are_refused(k: int | tuple[int, ...], catalogue: Catalogue) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.k"):
        SlateMetrics(catalogue, k)


def test_lists_that_are_too_short_are_refused(catalogue: Catalogue) -> None:
    with pytest.raises(ConfigError, match="hold 5 items"):
        SlateMetrics(catalogue, 10).update(*_users(0, 3, k=5))


def test_the_config_builds_it(catalogue: Catalogue) -> None:
    file = Path(__file__).parents[2] / "conf" / "metrics" / "default.yaml"
    config = OmegaConf.create({"k": [5, 10], "metrics": OmegaConf.load(file)})
    metrics = instantiate(config.metrics)(catalogue)
    assert isinstance(metrics, SlateMetrics)
    assert metrics.sizes == (5, 10)
    assert not math.isnan(metrics.update(*_users(0, 3))["ilad@5"].sum())
