"""Every re-ranker of conf/rerank at every configured strength, and every baseline of conf/model."""

from __future__ import annotations

import datasets
import pytest
import torch
from hydra.utils import instantiate

from contracts.conftest import ITEMS, options
from divrec import schema
from divrec.baselines import Baseline
from divrec.ranking import deliver, rank
from divrec.run.assembly import rerankers

K = 10
RERANKERS = options("rerank")


@pytest.fixture
def ranking():
    scores_BN = torch.randn(8, ITEMS, generator=torch.Generator().manual_seed(3))
    seen_BS = torch.arange(40).view(8, 5)
    return rank(scores_BN, torch.full((8, 1), -1), seen_BS, ITEMS, torch.arange(ITEMS))


@pytest.fixture(params=RERANKERS)
def strategies(request, configured):
    return rerankers(configured(f"rerank={request.param}"))


def test_a_reranker_delivers_k_distinct_items_of_the_ranking_with_the_models_scores(strategies, ranking, tidy):
    assert strategies
    for strategy in strategies:
        slate = strategy(ranking, tidy, K)
        assert slate.items_BK.shape == (8, K)
        for user, items in enumerate(slate.items_BK.tolist()):
            assert len(set(items)) == K
            ranked = dict(zip(ranking.items_BM[user].tolist(), ranking.scores_BM[user].tolist(), strict=True))
            assert [ranked[item] for item in items] == slate.scores_BK[user].tolist()
            assert not set(items) & set(range(5 * user, 5 * user + 5)), "a seen item"


def test_a_reranker_says_the_same_twice_and_leaves_the_ranking_alone(strategies, ranking, tidy):
    before = ranking.items_BM.clone()
    for strategy in strategies:
        assert torch.equal(strategy(ranking, tidy, K).items_BK, strategy(ranking, tidy, K).items_BK)
    assert torch.equal(ranking.items_BM, before)


@pytest.mark.parametrize("name", RERANKERS)
def test_a_reranker_at_zero_is_the_ranking_and_at_most_no_less_diverse(name, configured, ranking, tidy):
    zero, full = rerankers(configured(f"rerank={name}", f"rerank.{name}.diversity=[0,1]"))
    delivered = deliver(ranking, K)
    assert torch.equal(zero(ranking, tidy, K).items_BK, delivered.items_BK)
    categories = [
        sum(len(set(row)) for row in tidy.categories_NJ[:, 0][slate.items_BK].tolist())
        for slate in (delivered, full(ranking, tidy, K))
    ]
    assert categories[1] > categories[0]


@pytest.mark.parametrize("name", RERANKERS)
def test_a_reranker_pads_where_a_user_has_too_few_candidates(name, configured, tidy):
    scores_BN = torch.randn(2, ITEMS)
    seen_BS = torch.arange(ITEMS - 4).expand(2, -1)
    few = rank(scores_BN, torch.full((2, 1), -1), seen_BS, ITEMS, torch.arange(ITEMS))
    for strategy in rerankers(configured(f"rerank={name}")):
        slate = strategy(few, tidy, K)
        assert (slate.items_BK[:, :4] >= 0).all()
        assert (slate.items_BK[:, 4:] == -1).all()


def baselines(configured) -> dict[str, Baseline]:
    built = {name: instantiate(configured(f"model={name}").model) for name in options("model")}
    return {name: model for name, model in built.items() if isinstance(model, Baseline)}


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


def test_the_sweeps_baselines_are_among_them(configured):
    assert {"random", "popular", "item_knn"} <= set(baselines(configured))


def test_a_baseline_scores_every_item_and_restores_from_its_state(configured, train, tidy, make_batch):
    for name, model in baselines(configured).items():
        model.fit(train, tidy)
        batch = make_batch()
        output = model(batch)
        assert output.scores_QN.shape == (8, ITEMS), name
        assert torch.isfinite(output.scores_QN).all(), name
        assert not list(model.parameters()), name
        assert torch.equal(output.scores_QN, model(batch).scores_QN), name
        again = baselines(configured)[name]
        again.load_state_dict(model.state_dict())
        assert torch.equal(again(batch).scores_QN, output.scores_QN), name


def test_a_baseline_scores_a_user_without_history(configured, train, tidy, make_batch):
    batch = make_batch()
    batch.history_QS.zero_()
    batch.seen_QS.fill_(ITEMS)
    for name, model in baselines(configured).items():
        model.fit(train, tidy)
        assert torch.isfinite(model(batch).scores_QN).all(), name
