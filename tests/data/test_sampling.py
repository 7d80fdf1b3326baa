"""Candidates and labels of training queries."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from divrec.data import (
    BehaviorDataModule,
    CandidateSampler,
    Collation,
    GlobalTime,
    Preparation,
    PreparedData,
    Sampling,
    Synthetic,
    TrainingSteps,
    read_histories,
)
from divrec.errors import ConfigError
from divrec.objectives import MeanSquaredError

KINDS = ["uniform", "popularity", "in_batch", "mixed", "hard"]


@pytest.fixture(scope="module")
def vectors(shop: PreparedData) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.nn.functional.normalize(torch.randn(len(shop.catalogue), 12, generator=generator), dim=-1)


@pytest.fixture(scope="module")
def make(shop: PreparedData, vectors: torch.Tensor):
    histories = read_histories(shop.splits["train"])
    collation = Collation(shop.manifest["items"], (0.2, 0.5, 1.0), (False, True, True), history_length=10)
    counts = np.asarray(shop.catalogue["count"][:])

    def steps(sampling: Sampling, **changes) -> TrainingSteps:
        sampler = CandidateSampler(sampling, counts, vectors)
        return TrainingSteps(histories, collation, **({"batch_size": 16, "positions": 40} | changes), sampler=sampler)

    return steps


@pytest.mark.parametrize("label", ["event", "similarity"])
@pytest.mark.parametrize("kind", KINDS)
def test_candidates_are_seeded_and_the_same_for_any_workers_and_ranks(make, kind: str, label: str) -> None:
    sampling = Sampling(kind, 9, label)
    alone = [make(sampling)[step] for step in range(3)]
    loaded = list(DataLoader(make(sampling), batch_size=None, sampler=range(3), num_workers=1))
    for one, other in zip(alone, loaded, strict=True):
        assert torch.equal(one.negatives_QC, other.negatives_QC)
        torch.testing.assert_close(one.negative_values_QC, other.negative_values_QC)
    whole = alone[2]
    shares = [make(sampling, rank=rank, world=2)[2] for rank in range(2)]
    found = {tuple(row) for share in shares for row in share.negatives_QC.tolist()}
    assert found == {tuple(row) for row in whole.negatives_QC.tolist()}
    assert whole.negatives_QC.shape == whole.negative_values_QC.shape == (len(whole.query_rows_Q), 9)
    assert not torch.equal(alone[0].negatives_QC, alone[1].negatives_QC)


def test_popularity_follows_training_events(make, shop: PreparedData) -> None:
    drawn = make(Sampling("popularity", 20_000))[0].negatives_QC[0].numpy()
    counts = np.asarray(shop.catalogue["count"][:])
    found = np.bincount(drawn, minlength=len(counts)) / len(drawn)
    assert np.abs(found - counts / counts.sum()).max() < 0.01
    uniform = make(Sampling("uniform", 20_000))[0].negatives_QC[0].numpy()
    assert np.abs(np.bincount(uniform, minlength=len(counts)) / len(uniform) - 1 / len(counts)).max() < 0.005


def test_in_batch_candidates_are_what_the_others_ask_for(make) -> None:
    batch = make(Sampling("in_batch", 30))[1]
    assert set(batch.negatives_QC.flatten().tolist()) <= set(batch.target_items_P.tolist())
    mixed = make(Sampling("mixed", 30))[1].negatives_QC[0]
    assert set(mixed[15:].tolist()) <= set(batch.target_items_P.tolist())
    assert not set(mixed[:15].tolist()) <= set(batch.target_items_P.tolist())


@pytest.mark.parametrize("kind", ["uniform", "popularity", "in_batch", "mixed"])
def test_the_chance_of_a_candidate_is_how_often_it_is_drawn(shop: PreparedData, kind: str) -> None:
    """Over many draws from one pool the shares approach the chances that the logQ correction is given."""
    counts = np.asarray(shop.catalogue["count"][:])
    sampler = CandidateSampler(Sampling(kind, 10), counts)
    pool = np.array([0, 0, 3, 5])
    drawn = np.concatenate([sampler._shared(np.random.default_rng(seed), pool) for seed in range(4000)])
    shares = np.bincount(drawn, minlength=len(counts)) / len(drawn)
    chances = sampler._chances(pool)
    assert chances is not None
    assert float(chances.sum()) == pytest.approx(1, abs=1e-5)
    assert np.abs(shares - chances.numpy()).max() < 0.01


def test_hard_candidates_are_the_most_similar_that_the_user_never_touches(make, shop, vectors) -> None:
    batch = make(Sampling("hard", 5))[0]
    rows = {row["user"]: row for row in shop.splits["train"]}
    padded = torch.cat([vectors, torch.zeros(1, vectors.shape[1])])
    for query in range(len(batch.query_rows_Q)):
        touched = rows[int(batch.users_B[batch.query_rows_Q[query]])]["items"]
        history = (batch.history_QS[query].unsqueeze(-1) * padded[batch.seen_QS[query]]).sum(0)
        scores = vectors @ history
        scores[touched] = -torch.inf
        assert batch.negatives_QC[query].tolist() == scores.topk(5).indices.tolist()


def test_similarity_labels_are_those_of_history_and_item(make, vectors) -> None:
    batch = make(Sampling("uniform", 7, "similarity"))[0]
    padded = torch.cat([vectors, torch.zeros(1, vectors.shape[1])])
    for query in range(5):
        history = (batch.history_QS[query].unsqueeze(-1) * padded[batch.seen_QS[query]]).sum(0)
        wanted = (1 + vectors[batch.negatives_QC[query]] @ torch.nn.functional.normalize(history, dim=0)) / 2
        torch.testing.assert_close(batch.negative_values_QC[query], wanted, atol=1e-5, rtol=0)
    assert batch.target_values_P.min() >= 0
    assert batch.target_values_P.max() <= 1
    assert len(set(batch.target_values_P.tolist())) > 10
    plain = make(Sampling("uniform", 7))[0]
    assert set(plain.target_values_P.tolist()) <= {0.5, 1.0}
    assert (plain.negative_values_QC == 0).all()


def test_the_mse_task_reads_candidates_and_labels(make, vectors) -> None:
    batch = make(Sampling("uniform", 7, "similarity"))[0]
    history = torch.zeros(len(batch.query_rows_Q), len(vectors) + 1).scatter_(1, batch.seen_QS, batch.history_QS)
    users = torch.nn.functional.normalize(history[:, :-1] @ vectors, dim=-1)
    perfect = (1 + users @ vectors.T) / 2
    assert MeanSquaredError()(perfect, batch) < 1e-8
    assert MeanSquaredError()(perfect + 0.1, batch) > 1e-3


def test_vectors_are_asked_for_where_they_are_needed(tmp_path: Path) -> None:
    data = BehaviorDataModule(
        Synthetic(users=80, items=60, days=40, categories=5),
        Preparation(core=2, event_weights={"view": 0.2, "cart": 0.5, "purchase": 1.0}),
        GlobalTime(8, 8),
        tmp_path,
        batch_size=16,
        sampling=Sampling("hard", 5, "similarity"),
    )
    assert data.needs_vectors
    with pytest.raises(ConfigError, match="needs the text vectors"):
        data.train_dataloader()
    data.use_vectors(torch.nn.functional.normalize(torch.randn(data.manifest["items"], 8), dim=-1))
    assert next(iter(data.train_dataloader())).negatives_QC.shape[1] == 5


@pytest.mark.parametrize(
    "arguments", [{"negatives": "easy"}, {"label": "stars"}, {"label": "similarity"}, {"num_negatives": 0}]
)
def test_sampling_without_sense_is_refused(arguments: dict) -> None:
    with pytest.raises(ConfigError, match="data.sampling"):
        Sampling(**arguments)
