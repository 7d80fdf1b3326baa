"""Evaluation: lists, per-user values and set-level values agree; points are whole or not there."""

from __future__ import annotations

import dataclasses
import json

import pandas as pd
import pytest
import torch
from torch import nn

from divrec.batch import EvaluationBatch, ModelOutput
from divrec.errors import ConfigError
from divrec.evaluation import AS_RANKED, Protocol, evaluate, point_name, rerank_facts, write_point
from divrec.metrics import SlateMetrics
from divrec.models import Recommender
from divrec.ranking import tie_order
from divrec.ranking_blocks import rank_blocks
from divrec.rerank import (
    ExposureMMR,
    MaximalMarginalRelevance,
    MaximalSumOfDistances,
    Proportionality,
    SlidingSpectrum,
    Temperature,
)
from divrec.schema import RunRecord

ITEMS, K = 60, 5


class Fixed(nn.Module):
    """A score for each user and item, drawn once."""

    def __init__(self, scores_UN=None):
        super().__init__()
        drawn = torch.randn(16, ITEMS, generator=torch.Generator().manual_seed(4))
        self.scores_UN = drawn if scores_UN is None else scores_UN

    def forward(self, batch):
        return ModelOutput(self.scores_UN[batch.users_B[batch.query_rows_Q]])


@pytest.fixture
def batches(make_batch):
    """Sixteen users in two batches, two targets each."""
    made = []
    for number in range(2):
        batch = make_batch(seed=number)
        batch = dataclasses.replace(batch, users_B=batch.users_B + 8 * number)
        targets_BT = batch.target_items_P.view(8, 2)
        made.append(EvaluationBatch(batch, targets_BT, tuple(f"u{user}" for user in batch.users_B.tolist())))
    return made


@pytest.fixture
def ids():
    return [f"item {number}" for number in range(ITEMS)]


def protocol(**changes):
    given = {"k": K, "top": 30, "exclude_seen": True, "tie_order_N": tie_order(ITEMS, 0)} | changes
    return Protocol(lambda catalogue: SlateMetrics(catalogue, given["k"]), **given)


def test_delivered_lists_are_the_best_unseen_items(batches, catalogue, ids):
    model = Fixed()
    result = evaluate(model, {"test": batches}, catalogue, ids, protocol())[AS_RANKED]
    slates = pd.concat(table.to_pandas() for table in result.slates)
    assert len(slates) == 16 * K
    assert set(slates.split) == {"test"}
    for batch in batches:
        for row, user in enumerate(batch.user_ids):
            scores_N = model.scores_UN[batch.batch.users_B[row]].clone()
            scores_N[batch.batch.seen_QS[row]] = -torch.inf
            best = scores_N.topk(K)
            mine = slates[slates.user_id == user].sort_values("rank")
            assert mine["rank"].tolist() == [1, 2, 3, 4, 5]
            assert mine.item_id.tolist() == [ids[item] for item in best.indices.tolist()]
            assert mine.score.tolist() == pytest.approx(best.values.tolist())


def test_seen_items_come_back_where_they_may(batches, catalogue, ids):
    scores_UN = torch.zeros(16, ITEMS)
    for batch in batches:
        scores_UN[batch.batch.users_B.unsqueeze(-1), batch.batch.seen_QS] = 9.0
    slates = evaluate(Fixed(scores_UN), {"test": batches}, catalogue, ids, protocol(exclude_seen=False))
    first = pd.concat(table.to_pandas() for table in slates[AS_RANKED].slates)
    assert (first.score == 9).all()


def test_the_mean_over_users_is_the_metric_and_both_splits_are_kept_apart(batches, catalogue, ids):
    splits = {"validation": batches[:1], "test": batches}
    result = evaluate(Fixed(), splits, catalogue, ids, protocol())[AS_RANKED]
    users = pd.concat(table.to_pandas() for table in result.users)
    assert users.groupby("split").size().to_dict() == {"test": 16, "validation": 8}
    for split in splits:
        values = users[users.split == split]
        for name in ("ndcg@5", "recall@5", "mrr@5", "ilad@5", "simpson@5", "auc"):
            assert result.metrics[split][name] == pytest.approx(values[name].mean(), abs=1e-6)
    assert result.metrics["validation"] != result.metrics["test"]
    assert result.seconds > 0


def test_a_perfect_model_is_perfect_and_the_size_of_a_batch_does_not_matter(batches, catalogue, ids):
    scores_UN = torch.zeros(16, ITEMS)
    for batch in batches:
        scores_UN[batch.batch.users_B.unsqueeze(-1), batch.targets_BT] = 1.0
    result = evaluate(Fixed(scores_UN), {"test": batches}, catalogue, ids, protocol())[AS_RANKED]
    assert result.metrics["test"]["ndcg@5"] == pytest.approx(1)
    assert result.metrics["test"]["recall@5"] == pytest.approx(1)
    alone = [evaluate(Fixed(scores_UN), {"test": [batch]}, catalogue, ids, protocol())[AS_RANKED] for batch in batches]
    assert result.metrics["test"]["ilad@5"] == pytest.approx(
        sum(each.metrics["test"]["ilad@5"] for each in alone) / 2, abs=1e-6
    )


def test_a_constant_model_gets_what_chance_gets(batches, catalogue, ids):
    result = evaluate(Fixed(torch.zeros(16, ITEMS)), {"test": batches}, catalogue, ids, protocol())[AS_RANKED]
    assert result.metrics["test"]["auc"] == pytest.approx(0.5)
    assert result.metrics["test"]["recall@5"] == pytest.approx(K / (ITEMS - 5), rel=1e-4)


def test_each_reranker_gives_a_point_of_its_own(batches, catalogue, ids):
    strategies = [MaximalMarginalRelevance(0.0), MaximalMarginalRelevance(0.9)]
    results = evaluate(Fixed(), {"test": batches}, catalogue, ids, protocol(), strategies)
    assert list(results) == [AS_RANKED, "mmr-0", "mmr-0.9"]
    tables = {name: pd.concat(table.to_pandas() for table in each.slates) for name, each in results.items()}
    assert tables["mmr-0"].equals(tables[AS_RANKED])
    assert results["mmr-0.9"].metrics["test"]["ilad@5"] > results[AS_RANKED].metrics["test"]["ilad@5"]
    assert results["mmr-0.9"].metrics["test"]["auc"] == results[AS_RANKED].metrics["test"]["auc"]


def test_undefined_values_are_counted(batches, catalogue, ids):
    one = dataclasses.replace(batches[0], targets_BT=torch.where(torch.arange(8).unsqueeze(-1) < 3, -1, 7))
    result = evaluate(Fixed(), {"test": [one]}, catalogue, ids, protocol(exclude_seen=False))[AS_RANKED]
    users = pd.concat(table.to_pandas() for table in result.users)
    missing = int(users["ndcg@5"].isna().sum())
    assert missing == 3
    assert result.undefined["test"]["ndcg@5"] == missing
    assert result.metrics["test"]["ndcg@5"] == pytest.approx(users["ndcg@5"].mean())


def test_a_users_short_list_is_padded_and_not_made_up(batches, catalogue, ids):
    scores_UN = torch.full((16, ITEMS), -torch.inf)
    scores_UN[:, :3] = torch.tensor([3.0, 2.0, 1.0])
    result = evaluate(Fixed(scores_UN), {"test": batches}, catalogue, ids, protocol(exclude_seen=False))[AS_RANKED]
    slates = pd.concat(table.to_pandas() for table in result.slates)
    assert (slates.groupby("user_id").size() <= K).all()
    assert slates[slates["rank"] <= 3].item_id.isin(ids[:3]).all()


@pytest.mark.parametrize(
    ("diversity", "name"), [(0.0, "mmr-0"), (0.5, "mmr-0.5"), (1 / 3, "mmr-0.333333"), (1.0, "mmr-1")]
)
def test_a_derived_points_name_is_short(diversity, name):
    assert point_name(MaximalMarginalRelevance(diversity)) == name


def test_a_point_is_written_record_last(batches, catalogue, ids, tmp_path, monkeypatch):
    result = evaluate(Fixed(), {"validation": batches, "test": batches}, catalogue, ids, protocol())[AS_RANKED]
    record = RunRecord("i", "base", "n", {}, 0, {}, {}, {}, result.metrics, {"fit_seconds": float("nan")}, {})
    write_point(tmp_path / "point", record, result)
    assert {path.name for path in (tmp_path / "point").iterdir()} == {
        "record.json",
        "users.parquet",
        "slates.parquet",
        "groups.parquet",
    }
    content = json.loads((tmp_path / "point" / "record.json").read_text(encoding="utf-8"))
    assert content["metrics"]["test"]["ndcg@5"] == pytest.approx(result.metrics["test"]["ndcg@5"])
    assert content["cost"]["fit_seconds"] is None, "JSON has no NaN"

    def broken(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("divrec.evaluation.pq.write_table", broken)
    with pytest.raises(OSError, match="disk full"):
        write_point(tmp_path / "other", record, result)
    assert list((tmp_path / "other").iterdir()) == []


def test_users_without_a_history_are_counted(batches, catalogue, ids):
    started = batches[0].batch
    empty_B = torch.arange(8) < 2
    batch = dataclasses.replace(started, history_QS=started.history_QS.masked_fill(empty_B.unsqueeze(-1), 0))
    split = [dataclasses.replace(batches[0], batch=batch), batches[1]]
    result = evaluate(Fixed(), {"validation": batches, "test": split}, catalogue, ids, protocol())[AS_RANKED]
    assert result.empty_histories == {"validation": 0, "test": 2}
    assert result.outcome() == {
        "metrics": result.metrics,
        "undefined": result.undefined,
        "empty_histories": result.empty_histories,
    }
    assert result.undefined["test"] == {"unexpectedness@5": 2, "serendipity@5": 2}


def test_two_points_of_one_name_are_refused(batches, catalogue, ids):
    twice = [MaximalMarginalRelevance(0.5), MaximalMarginalRelevance(0.50000001)]
    with pytest.raises(ConfigError, match="asked for twice; got 'mmr-0.5'"):
        evaluate(Fixed(), {"test": batches}, catalogue, ids, protocol(), twice)


@pytest.mark.parametrize(
    ("strategy", "name"),
    [
        (MaximalMarginalRelevance(0.5, pool=30), "mmr_pool30-0.5"),
        (MaximalMarginalRelevance(0.5, relevance="probability", pool=30), "mmr_probability_pool30-0.5"),
        (SlidingSpectrum(0.5, window=2), "ssd_window2-0.5"),
        (Proportionality(0.5, focus=0.25), "pm2_focus0.25-0.5"),
        (Temperature(0.5, seed=3), "temperature_seed3-0.5"),
        (MaximalSumOfDistances(0.5, kernel="category"), "msd_category-0.5"),
        (ExposureMMR(0.5, exposure=1, pool=30), "exposure_mmr_1_pool30-0.5"),
    ],
)
def test_a_point_is_named_by_what_is_not_the_default(strategy, name):
    assert point_name(strategy) == name
    assert rerank_facts(strategy) == {"name": name.removesuffix("-0.5"), **strategy.parameters}


def test_other_parameters_are_other_points(batches, catalogue, ids):
    strategies = [MaximalMarginalRelevance(0.9), MaximalMarginalRelevance(0.9, pool=6)]
    results = evaluate(Fixed(), {"test": batches}, catalogue, ids, protocol(), strategies)
    assert list(results) == [AS_RANKED, "mmr-0.9", "mmr_pool6-0.9"]
    assert results["mmr-0.9"].metrics["test"]["ilad@5"] > results["mmr_pool6-0.9"].metrics["test"]["ilad@5"]


@pytest.mark.parametrize("chunk", [1, 7, 59, 60, 1000])
def test_items_a_chunk_at_a_time_deliver_the_same(chunk, batches, catalogue, ids, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    items_ND = torch.randint(-3, 4, (ITEMS, 4), generator=generator).float()  # whole numbers: no sum is ever rounded
    users_UD = torch.randint(-3, 4, (16, 4), generator=generator).float()
    bias_N = torch.randint(-3, 4, (ITEMS,), generator=generator).float()

    class Tower(nn.Module):
        def forward(self, rows_R=None, live_items=None):
            return items_ND

    model = Recommender(Tower(), lambda _, batch: users_UD[batch.users_B[batch.query_rows_Q]], bias_N)
    asked = []
    whole = evaluate(model, {"test": batches}, catalogue, ids, protocol())[AS_RANKED]
    monkeypatch.setattr("divrec.evaluation.rank_blocks", lambda *given: asked.append(given[1]) or rank_blocks(*given))
    parts = evaluate(model, {"test": batches}, catalogue, ids, protocol(chunk=chunk))[AS_RANKED]
    assert asked == ([chunk] * 2 if chunk < ITEMS else [])
    assert parts.undefined == whole.undefined
    assert all(one.equals(other) for one, other in zip(parts.slates, whole.slates, strict=True))
    assert all(one.equals(other) for one, other in zip(parts.users, whole.users, strict=True))
