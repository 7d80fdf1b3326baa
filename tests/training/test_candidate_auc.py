"""The AUC of development users over labelled candidates."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import mannwhitneyu
from torch import nn

from divrec.batch import ModelOutput
from divrec.training import AUC_OF_CANDIDATES, CandidateAUC, Schedule, candidate_auc, fit


class Known(nn.Module):
    """Scores that are given, for the requested candidates alone."""

    def __init__(self, scores: torch.Tensor) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, batch, request):
        assert not request.leading
        return ModelOutput(self.scores[:0], candidate_scores_QC=self.scores[:, request.candidates_C])


@pytest.fixture
def batch(make_batch):
    one = make_batch()
    return replace(one, negatives_QC=torch.stack([torch.randperm(60)[:30] for _ in range(8)]))


def test_it_is_mann_whitneys_u_over_targets_and_usable_candidates(batch):
    scores = torch.randint(0, 12, (8, 60)).float()  # with ties
    targets = batch.target_items_P.view(8, 2)
    values = candidate_auc(Known(scores), batch, targets, 60)
    for row, value in enumerate(values.tolist()):
        seen, mine = set(batch.seen_QS[row].tolist()), set(targets[row].tolist())
        others = [item for item in batch.negatives_QC[row].tolist() if item not in seen | mine]
        assert len(others) > 10
        won = mannwhitneyu(scores[row, list(mine)].numpy(), scores[row, others].numpy()).statistic
        assert value == pytest.approx(won / (len(mine) * len(others)))


def test_padding_and_seen_targets_do_not_count(batch):
    scores = torch.rand(8, 60)
    targets = batch.target_items_P.view(8, 2).clone()
    wide = torch.cat([targets, torch.full((8, 3), -1), batch.seen_QS[:, :1]], dim=-1)
    known = Known(scores)
    assert torch.equal(candidate_auc(known, batch, targets, 60), candidate_auc(known, batch, wide, 60))
    none = candidate_auc(known, batch, torch.full((8, 2), -1), 60)
    assert torch.isnan(none).all()


def test_candidates_are_a_users_own_and_the_same_every_time(make_batch):
    watch, one = CandidateAUC(10), make_batch()
    drawn = watch._labelled(one, 60).negatives_QC
    assert torch.equal(drawn, watch._labelled(one, 60).negatives_QC)
    shuffled = replace(one, users_B=one.users_B.flip(0))
    assert torch.equal(drawn.flip(0), watch._labelled(shuffled, 60).negatives_QC)
    assert not torch.equal(drawn, CandidateAUC(10, seed=1)._labelled(one, 60).negatives_QC)
    assert all(len(set(row)) == 10 for row in drawn.tolist())
    assert CandidateAUC(100)._labelled(one, 60).negatives_QC.shape == (8, 60)


def test_a_model_that_asks_for_it_has_it_logged_at_each_validation(data, make_module, trainer):
    module = make_module(Schedule(steps=4, learning_rate=0.1, validate_every=2))
    assert module.configure_callbacks() == []
    module.model = Requested(module.model)
    logged = []

    def spy(name, value, *_, **__):
        if name == AUC_OF_CANDIDATES:
            logged.append(float(value))

    original = module.log
    module.log = lambda name, value, *rest, **more: (spy(name, value), original(name, value, *rest, **more))[1]
    fit(module, data, partial(trainer), [], "validation/ndcg@5", show_bar=False)
    assert len(logged) == 2
    assert all(0 < value < 1 for value in logged)
    assert np.isfinite(logged).all()


class Requested(nn.Module):
    """A model that scores all items, and those that are asked for."""

    development_candidates = 15

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch, request=None):
        output = self.model(batch)
        return (
            output
            if request is None
            else ModelOutput(output.scores_QN, candidate_scores_QC=output.scores_QN[:, request.candidates_C])
        )
