"""The cross encoder: which pairs are read, what the others score, what is trained and saved."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from divrec.batch import ModelOutput, Request
from divrec.errors import ConfigError
from divrec.models import CrossEncoder, ItemTexts, TextEncoder
from divrec.objectives import BinaryCrossEntropy, MeanSquaredError, Softmax, TradeoffObjective
from models.conftest import FAMILIES, save_tiny

WORDS = ["red", "green", "blue", "soft", "hard", "apple", "pear", "plum", "bread", "milk"]
TEXTS = [f"{WORDS[i % 5]} {WORDS[5 + (i // 5) % 5]}" for i in range(60)]
PROFILES = ["", "red apple", "milk; bread", "soft pear; hard plum", "blue milk", "green", "plum", "hard bread"]


class ByNumber(nn.Module):
    """A first stage that likes high item numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, batch):
        assert not self.training
        return ModelOutput(self.weight * torch.arange(60.0).expand(len(batch.query_rows_Q), -1))


@pytest.fixture
def build(tiny_plm, tmp_path):
    def made(first_stage=None, folder=tiny_plm, **settings):
        torch.manual_seed(0)
        encoder = TextEncoder(str(folder))
        recipe = CrossEncoder(**({"candidates": 6, "trained_layers": 1, "max_tokens": 24} | settings))
        return recipe(encoder, ItemTexts.encode(encoder, TEXTS, tmp_path, 8), PROFILES, first_stage)

    return made


@pytest.fixture
def batch(make_batch):
    one = make_batch()
    negatives = torch.randint(60, (8, 7), generator=torch.Generator().manual_seed(5))
    return replace(
        one, profiles_Q=torch.arange(8), negatives_QC=negatives, negative_values_QC=torch.zeros(negatives.shape)
    )


def test_training_reads_each_querys_targets_and_negatives_alone(build, batch):
    scores = build().train()(batch).scores_QN
    wanted = torch.zeros(8, 60, dtype=torch.bool).scatter(1, batch.negatives_QC, True)
    wanted[batch.target_queries_P, batch.target_items_P] = True
    assert torch.equal(torch.isfinite(scores), wanted)
    assert (scores[~wanted] == -torch.inf).all()


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_do_not_depend_on_what_else_is_read(family, side, build, batch, tmp_path):
    model = build(folder=save_tiny(tmp_path / "model", family, side=side)).eval()
    model.training = True  # labelled pairs, without dropout
    items_Q = batch.negatives_QC[:, 0]
    with torch.no_grad():
        together = model(batch).scores_QN[torch.arange(8), items_Q]
        alone = [model.scorer([one], [TEXTS[item]]) for one, item in zip(PROFILES, items_Q.tolist(), strict=True)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
    assert together.std() > 1e-3, "pairs have scores of their own"


def test_lists_hold_the_best_candidates_of_the_first_stage_and_then_its_order(build, batch):
    model = build(ByNumber()).eval()
    with torch.no_grad():
        scores = model(batch).scores_QN
    for row, seen in enumerate(batch.seen_QS):
        unseen = [item for item in range(59, -1, -1) if item not in seen.tolist()]
        order = [item for item in scores[row].argsort(descending=True).tolist() if item not in seen.tolist()]
        assert set(order[:6]) == set(unseen[:6])
        assert order[6:] == unseen[6:]
        assert torch.isfinite(scores[row, unseen]).all()
        assert (scores[row, seen] == -torch.inf).all()
    order = scores[0].argsort(descending=True)[:6]
    assert order.tolist() != sorted(order.tolist(), reverse=True), "the language model has put them in another order"


def test_without_exclusion_seen_items_can_be_candidates(build, batch):
    with torch.no_grad():
        scores = build(ByNumber(), exclude_seen=False).eval()(batch).scores_QN
    assert torch.isfinite(scores).all()
    assert (scores.topk(6).indices >= 54).all()


def test_without_a_first_stage_each_user_has_a_random_sample_of_his_own(build, batch):
    model = build().eval()
    with torch.no_grad():
        scores = model(batch).scores_QN
        again = model(replace(batch, negatives_QC=None, negative_values_QC=None)).scores_QN
    assert torch.equal(scores, again)
    read = [frozenset(row.topk(6).indices.tolist()) for row in scores]
    assert len(set(read)) == 8
    with torch.no_grad():
        other = build(seed=1).eval()(batch).scores_QN
    assert [frozenset(row.topk(6).indices.tolist()) for row in other] != read


@pytest.mark.parametrize("candidates", [60, 1000])
def test_enough_candidates_are_all_items(candidates, build, batch):
    with torch.no_grad():
        few, many = (build(ByNumber(), candidates=count).eval()(batch).scores_QN for count in (6, candidates))
    read = torch.isfinite(few) & (few >= few.topk(6).values[:, -1:])
    assert torch.allclose(few[read], many[read], atol=1e-5)


@pytest.mark.parametrize("task", [BinaryCrossEntropy, MeanSquaredError])
def test_it_learns_the_labels_of_pairs(task, build, batch):
    # a pair is wanted when profile and product share a word
    profiles = [PROFILES[number] for number in range(8)]
    shared = torch.tensor(
        [[bool(set(text.split()) & set(told.replace(";", "").split())) for text in TEXTS] for told in profiles]
    )
    queries, items = shared.nonzero(as_tuple=True)
    labelled = replace(
        batch,
        target_queries_P=queries,
        target_items_P=items,
        target_values_P=torch.ones(len(items)),
        negatives_QC=torch.arange(60).expand(8, -1),
        negative_values_QC=torch.zeros(8, 60),
    )
    model = build(trained_layers=2).train()
    objective = TradeoffObjective(task(), {}, Softmax(5), exclude_seen=False)
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=1e-2)
    before = separation(model, labelled, shared)
    for _ in range(50):
        loss = objective(model(labelled), labelled)["total"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    others = replace(labelled, profiles_Q=labelled.profiles_Q.roll(1))
    assert separation(model, labelled, shared) > 0.7 > before
    assert separation(model, labelled, shared) > separation(model, others, shared) + 0.1, "it reads the profile, too"


def separation(model, batch, wanted):
    """Chance that a wanted pair of all is scored above another one of the same query."""
    with torch.no_grad():
        scores = model.eval()._scattered(batch, *torch.ones(8, 60).nonzero(as_tuple=True))
    model.train()
    values = [
        (row[mine].unsqueeze(1) > row[~mine]).float().mean()
        for row, mine in zip(scores, wanted, strict=True)
        if mine.any()
    ]
    return float(torch.stack(values).mean())


@pytest.mark.parametrize("trained", [0, 1, 2])
def test_the_last_layers_and_the_head_are_trained_and_saved(trained, build, batch):
    model = build(ByNumber(), trained_layers=trained).train()
    model(batch).scores_QN[torch.isfinite(model(batch).scores_QN)].square().sum().backward()
    names = {name for name, each in model.named_parameters() if each.grad is not None and each.grad.abs().sum() > 0}
    layers = {name.split("layer.")[1].split(".")[0] for name in names if "layer." in name}
    assert layers == {str(place) for place in range(2 - trained, 2)}
    assert {"scorer.head.weight", "scorer.head.bias"} <= names
    trainable = {name for name, each in model.named_parameters() if each.requires_grad}
    assert set(model.state_dict()) == trainable
    assert not [name for name in model.state_dict() if "first" in name]


def test_a_saved_state_restores_the_scores(build, batch):
    model, other = build().eval(), build().eval()
    with torch.no_grad():
        for each in model.scorer.parameters():
            if each.requires_grad:
                each.add_(0.1 * torch.randn_like(each))
        assert not torch.equal(model(batch).scores_QN, other(batch).scores_QN)
        other.load_state_dict(model.state_dict())
        assert torch.equal(model(batch).scores_QN, other(batch).scores_QN)
    with pytest.raises(RuntimeError, match="head"):
        other.load_state_dict({name: each for name, each in model.state_dict().items() if "head" not in name})


@pytest.mark.parametrize(
    "settings",
    [
        {"candidates": 0},
        {"candidates": 2.5},
        {"development_candidates": 0},
        {"trained_layers": -1},
        {"trained_layers": 3},
        {"max_tokens": 4},
        {"seed": -1},
    ],
)
def test_settings_without_sense_are_refused(settings, build):
    with pytest.raises(ConfigError, match=r"model\." + next(iter(settings))):
        build(**settings)


@pytest.mark.parametrize(
    ("lacking", "where"), [({"profiles_Q": None}, r"data\.profiles"), ({"negatives_QC": None}, "task: compares")]
)
def test_batches_that_lack_something_are_refused(lacking, where, build, batch):
    with pytest.raises(ConfigError, match=where):
        build().train()(replace(batch, **lacking))


@pytest.mark.parametrize("leading", [True, False])
def test_a_request_is_answered_with_the_labelled_pairs(leading, build, batch):
    model = build().eval()
    candidates = torch.cat([batch.target_items_P, batch.negatives_QC.flatten()]).unique()
    model.training = True  # labelled pairs, without dropout
    whole = model(batch).scores_QN
    model.training = False
    output = model(batch, Request(candidates, leading))
    assert torch.equal(output.candidate_scores_QC, whole[:, candidates])
    assert torch.equal(output.scores_QN, whole) if leading else output.scores_QN.numel() == 0
