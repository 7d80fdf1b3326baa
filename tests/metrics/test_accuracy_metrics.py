"""Accuracy metrics: means over users with a value, the others counted."""

from __future__ import annotations

import math

import pytest
import torch

from divrec import measures
from divrec.batch import Ranking
from divrec.metrics import AUC, MRR, NDCG, Recall, UserMean
from divrec.ranking import rank, tie_order


def _ranking(seed: int, users: int = 6) -> Ranking:
    generator = torch.Generator().manual_seed(seed)
    scores_BN = torch.randint(0, 9, (users, 20), generator=generator).float()
    targets_BT = torch.stack([torch.randperm(20, generator=generator)[:3] for _ in range(users)])
    targets_BT[0] = -1
    return rank(scores_BN, targets_BT, None, 10, tie_order(20, 0))


@pytest.mark.parametrize(
    ("metric", "measure"), [(Recall(5), measures.recall), (NDCG(5), measures.ndcg), (MRR(5), measures.mrr)]
)
def test_the_mean_over_batches_is_the_mean_over_users(metric: UserMean, measure: object) -> None:
    assert callable(measure)
    rankings = [_ranking(0), _ranking(1, users=2)]
    for ranking in rankings:
        metric.update(ranking)
    values = torch.cat([measure(ranking.above_BT, ranking.ties_BT, 5) for ranking in rankings]).double()
    assert int(metric.undefined) == 2
    assert int(metric.defined) == 6
    assert float(metric.compute()) == pytest.approx(float(values.nanmean()))
    assert 0 < float(metric.compute()) < 1


def test_auc_reads_the_whole_ranking() -> None:
    ranking, metric = _ranking(0), AUC()
    metric.update(ranking)
    slow = measures.auc(ranking.above_BT, ranking.ties_BT, ranking.candidates_B)
    torch.testing.assert_close(metric.values_B, slow.double(), equal_nan=True)
    assert float(metric.compute()) == pytest.approx(float(slow.nanmean()))


def test_nobody_with_a_value_gives_nan() -> None:
    metric = Recall(5)
    metric.update(rank(torch.zeros(2, 4), torch.full((2, 1), -1), None, 4, torch.arange(4)))
    assert math.isnan(float(metric.compute()))
    assert int(metric.undefined) == 2


def test_sums_are_kept_in_double_precision() -> None:
    ranking, metric = _ranking(0), NDCG(10)
    for _ in range(50):
        metric.update(ranking)
    slow = measures.ndcg(ranking.above_BT, ranking.ties_BT, 10)
    assert slow.dtype == torch.float64
    assert float(metric.compute()) == pytest.approx(float(slow.nanmean()), abs=1e-15)
