import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from divrec.batch import Request
from divrec.errors import ConfigError
from divrec.models import (
    AttentionUser,
    Frozen,
    Full,
    ItemTexts,
    MeanUser,
    TableSettings,
    TextEncoder,
    TwoTower,
)
from divrec.objectives import CrossEntropy, Simpson, SoftTopK, TradeoffObjective

WORDS = ["red", "green", "blue", "soft", "hard", "apple", "pear", "plum", "bread", "milk"]
TEXTS = [f"{WORDS[i % 5]} {WORDS[5 + (i // 5) % 5]}" for i in range(60)]


COUNTS = torch.arange(60)
ATTENTION = partial(AttentionUser, dropout=0.0, output_gain=1.0)
EXACT = TableSettings(refresh="live", live_texts=None, chunk=4)
LAST = partial(AttentionUser, dropout=0.0, output_gain=1.0, pooling="last")


def build(tiny_plm, cache, tuning, user=ATTENTION, **recipe):
    encoder = TextEncoder(str(tiny_plm))
    return TwoTower(user, dim=8, hidden=16, **recipe)(
        encoder, tuning, ItemTexts.encode(encoder, TEXTS, cache, 8), 1, COUNTS
    )


def test_scores_are_the_dot_product_of_its_vectors(tiny_plm, tmp_path, make_batch):
    output = build(tiny_plm, tmp_path, Frozen())(make_batch())
    assert output.scores_QN.shape == (8, 60)
    assert torch.allclose(output.scores_QN, output.users_QD @ output.items_ND.T)


@pytest.mark.parametrize(
    "user",
    [
        partial(ATTENTION, blocks=2, heads=2),
        partial(AttentionUser, dropout=0.0, pooling="last"),
        partial(MeanUser, dropout=0.0),
        partial(MeanUser, dropout=0.0, recency=0.5),
        LAST,
        partial(LAST, gated=True),
    ],
)
def test_what_comes_after_a_queried_moment_changes_nothing(user, tiny_plm, tmp_path, make_batch):
    model, batch = build(tiny_plm, tmp_path, Frozen(), user).eval(), make_batch()
    early = replace(batch, query_groups_Q=torch.zeros_like(batch.query_groups_Q))
    later_items = batch.items_BL.clone()
    later_items[:, 2:] = (later_items[:, 2:] + 7) % 60
    changed = replace(early, items_BL=later_items)
    assert torch.allclose(model(early).scores_QN, model(changed).scores_QN, atol=1e-6)
    assert not torch.allclose(model(batch).scores_QN, model(replace(batch, items_BL=later_items)).scores_QN, atol=1e-4)


def test_items_of_one_moment_are_interchangeable(tiny_plm, tmp_path, make_batch):
    model, batch = build(tiny_plm, tmp_path, Frozen()).eval(), make_batch()
    swapped = batch.items_BL[:, [1, 0, 3, 2, 4]]  # moments hold events (0, 1), (2, 3), (4)
    assert torch.allclose(model(batch).scores_QN, model(replace(batch, items_BL=swapped)).scores_QN, atol=1e-5)


def test_padding_changes_nothing(tiny_plm, tmp_path, make_batch):
    model, batch = build(tiny_plm, tmp_path, Frozen()).eval(), make_batch()
    pad = torch.nn.functional.pad
    padded = replace(
        batch,
        items_BL=pad(batch.items_BL, (3, 0)),
        groups_BL=pad(batch.groups_BL, (3, 0), value=-1),
        events_BL=pad(batch.events_BL, (3, 0)),
    )
    assert torch.allclose(model(batch).scores_QN, model(padded).scores_QN, atol=1e-5)


def test_full_tuning_sends_gradient_into_every_layer_of_the_language_model(tiny_plm, tmp_path, make_batch):
    model = build(tiny_plm, tmp_path, Full(EXACT))
    model(make_batch()).scores_QN.square().sum().backward()
    plm = model.item_tower.text_tower.plm
    silent = [
        name
        for name, each in plm.named_parameters()
        if "pooler" not in name and (each.grad is None or each.grad.abs().sum() == 0)
    ]
    # the key's bias shifts all scores of a softmax alike, so its gradient is zero by construction
    assert [name for name in silent if "key.bias" not in name] == []


def test_full_tuning_starts_where_the_frozen_vectors_are(tiny_plm, tmp_path):
    model = build(tiny_plm, tmp_path, Full(EXACT)).eval()
    frozen = build(tiny_plm, tmp_path, Frozen())
    with torch.no_grad():
        assert torch.allclose(model.item_tower.text_tower(), frozen.item_tower.text_tower(), atol=1e-4)


def test_a_frozen_language_model_is_not_saved_with_a_run(tiny_plm, tmp_path):
    names = build(tiny_plm, tmp_path, Frozen()).state_dict()
    assert names
    assert not [name for name in names if "text_tower" in name]


def test_before_training_scores_grow_with_popularity(tiny_plm, tmp_path, make_batch):
    output = build(tiny_plm, tmp_path, Frozen())(make_batch())
    together = torch.corrcoef(torch.stack([output.scores_QN.mean(0), (COUNTS + 1).float().log()]))
    assert together[0, 1] > 0.8


def test_without_an_id_embedding_items_of_one_text_score_alike(tiny_plm, tmp_path, make_batch):
    model = build(tiny_plm, tmp_path, Frozen(), representation="text", popularity_bias=False)
    scores = model(make_batch()).scores_QN
    assert torch.allclose(scores[:, 0], scores[:, 25])
    assert not torch.allclose(scores[:, 0], scores[:, 1])


def test_one_that_starts_as_text_ranks_by_cosines_to_the_history_before_any_training(tiny_plm, tmp_path, make_batch):
    user = partial(MeanUser, dropout=0.0, starts_as_mean=True)
    model = build(tiny_plm, tmp_path, Frozen(), user, representation="text", popularity_bias=False, start="text")
    vectors_ND, batch = ItemTexts.encode(TextEncoder(str(tiny_plm)), TEXTS, tmp_path, 8).item_vectors, make_batch()
    cosines_BLN = vectors_ND[batch.items_BL] @ vectors_ND.T
    torch.testing.assert_close(model(batch).scores_QN, 10 * cosines_BLN.mean(1))


def test_evaluation_computes_the_item_table_once_and_training_forgets_it(tiny_plm, tmp_path, make_batch):
    model, batch = build(tiny_plm, tmp_path, Frozen()).eval(), make_batch()
    computed = []
    model.item_tower.register_forward_hook(lambda *_: computed.append(1))
    with torch.no_grad():
        model(batch)
        model(batch)
        assert len(computed) == 1
        model.train().eval()
        model(batch)
    assert len(computed) == 2


def test_heads_must_divide_the_width():
    with pytest.raises(ConfigError, match=r"user\.heads"):
        AttentionUser(dim=10, heads=3)


@pytest.mark.parametrize("leading", [False, True])
@pytest.mark.parametrize("recipe", [{}, {"representation": "id"}, {"representation": "text", "popularity_bias": False}])
def test_a_request_scores_its_candidates_as_the_whole_catalogue_is_scored(
    leading, recipe, tiny_plm, tmp_path, make_batch
):
    model, batch = build(tiny_plm, tmp_path, Frozen(), **recipe), make_batch()
    candidates = torch.tensor([0, 3, 17, 58])
    asked, everything = model(batch, Request(candidates, leading)), model(batch)
    assert torch.allclose(asked.candidate_scores_QC, everything.scores_QN[:, candidates], atol=1e-6)
    assert asked.scores_QN.shape == ((8, 60) if leading else (0, 0))
    weights = [each for each in model.parameters() if each.requires_grad]
    few = torch.autograd.grad(asked.candidate_scores_QC.square().sum(), weights, allow_unused=True)
    all_of_them = torch.autograd.grad(everything.scores_QN[:, candidates].square().sum(), weights, allow_unused=True)
    for left, right in zip(few, all_of_them, strict=True):
        assert torch.allclose(left, right, atol=1e-5)


@pytest.mark.parametrize("leading", [False, True])
@pytest.mark.parametrize("popularity_bias", [False, True])
def test_asked_for_vectors_it_gives_those_whose_products_are_its_scores(
    popularity_bias, leading, tiny_plm, tmp_path, make_batch
):
    model, batch = build(tiny_plm, tmp_path, Frozen(), popularity_bias=popularity_bias), make_batch()
    batch = replace(batch, users_B=batch.users_B[:3])
    asked, everything = model(batch, Request(None, leading)), model(batch)
    assert asked.candidate_scores_QC is None
    assert asked.items_ND.shape == (60, 8 + popularity_bias)
    assert torch.allclose(asked.users_QD @ asked.items_ND.T, everything.scores_QN, atol=1e-6)
    assert asked.scores_QN.shape == ((3, 60) if leading else (0, 0))
    assert torch.allclose(asked.scores_QN, everything.scores_QN[:3] if leading else asked.scores_QN, atol=1e-6)


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_it_learns_the_same_from_scores_in_chunks(beta, catalogue, tiny_plm, tmp_path, make_batch):
    """The trained score of every item, too, which enters as a dimension."""
    model, batch, found = build(tiny_plm, tmp_path, Frozen()), make_batch(), []
    weights = {name: each for name, each in model.named_parameters() if each.requires_grad}
    assert "bias_N" in weights
    for chunk in (None, 11):
        regularizers = {"simpson": Simpson(catalogue)} if beta else {}
        objective = TradeoffObjective(CrossEntropy(chunk), regularizers, SoftTopK(5, top=30), beta, "raw")
        total = objective.step(model, batch)["total"]
        found.append((total, *torch.autograd.grad(total, weights.values(), allow_unused=True)))
    for name, one, other in zip(("total", *weights), *found, strict=True):
        assert torch.allclose(one, other, atol=1e-5), name


def test_an_id_model_reads_no_text(tiny_plm, tmp_path):
    model = build(tiny_plm, tmp_path, Full(), representation="id")
    assert not [name for name, _ in model.named_parameters() if "text" in name or "project" in name]


@pytest.mark.parametrize("representation", ["id", "text", "text_id"])
def test_an_evaluation_leaves_nothing_behind_in_the_weights(representation, tiny_plm, tmp_path, make_batch):
    model = build(tiny_plm, tmp_path, Frozen(), representation=representation, popularity_bias=False)
    names = set(model.state_dict())
    with torch.no_grad():
        model.eval()(make_batch())
    assert set(model.state_dict()) == names


def test_dropped_ids_leave_the_text_and_unknown_items_have_nothing_else(tiny_plm, tmp_path):
    model = build(tiny_plm, tmp_path, Frozen(), id_dropout=0.5)
    tower = model.item_tower
    text = tower._from_text(None, None)
    tower.train()
    dropped = (tower() == text).all(-1)
    assert dropped[0]  # no training event
    assert 10 < dropped[1:].sum() < 50
    tower.eval()
    assert (tower() == text).all(-1).tolist() == [True] + [False] * 59


@pytest.mark.parametrize(
    ("recipe", "key"),
    [
        ({"representation": "picture"}, "representation"),
        ({"id_dropout": 1.0}, "id_dropout"),
        ({"id_dropout": True}, "id_dropout"),
        ({"representation": "id", "id_dropout": 0.1}, "id_dropout"),
    ],
)
def test_senseless_item_vectors_are_refused(recipe, key):
    with pytest.raises(ConfigError, match=key):
        TwoTower(ATTENTION, **recipe)


def test_a_long_history_speaks_louder_where_the_exponent_says_so(make_batch):
    items_ND = torch.ones(60, 8)
    batch = make_batch()
    short = replace(batch, query_groups_Q=torch.zeros_like(batch.query_groups_Q))
    lengths = [
        ((b.groups_BL >= 0) & (b.groups_BL <= b.query_groups_Q[:, None])).sum(-1).float() for b in (short, batch)
    ]
    growth = {}
    for exponent in (0.0, 0.5, 1.0):
        user = MeanUser(8, length_exponent=exponent).eval()
        user.project = torch.nn.Identity()
        growth[exponent] = (user(items_ND, batch) / user(items_ND, short))[:, 0]
    assert torch.allclose(growth[1.0], torch.ones(8))
    assert torch.allclose(growth[0.5], (lengths[1] / lengths[0]).sqrt())
    assert torch.allclose(growth[0.0], lengths[1] / lengths[0])


def test_each_later_moment_halves_an_event_where_the_rate_says_so(make_batch):
    batch, items_ND = make_batch(), torch.randn(60, 8)
    user = MeanUser(8, dropout=0.0, recency=math.log(2), starts_as_mean=True)
    groups_BL = batch.groups_BL[batch.query_rows_Q]
    weights_QL = 0.5 ** (groups_BL.max(-1, keepdim=True).values - groups_BL).float()
    wanted = (weights_QL[..., None] * items_ND[batch.items_BL]).sum(1) / weights_QL.sum(-1, keepdim=True)
    assert torch.allclose(user(items_ND, batch), wanted, atol=1e-6)
    user(items_ND, batch).square().sum().backward()
    assert user.log_recency.grad.abs().item() > 0


def test_old_events_that_are_left_over_are_a_mean_too(make_batch):
    batch = make_batch()
    far = replace(batch, query_groups_Q=batch.query_groups_Q + 40)  # what is left weighs e^-40 and less
    user = MeanUser(8, dropout=0.0, event_dropout=0.5, recency=1.0, starts_as_mean=True)
    found = user(torch.ones(60, 8), far)
    kept = found.any(-1)
    assert kept.any()
    assert torch.allclose(found[kept], torch.ones(8))


def test_events_are_left_out_in_training_alone(make_batch):
    torch.manual_seed(0)
    user, batch = MeanUser(8, dropout=0.0, event_dropout=0.5), make_batch()
    items_ND = torch.randn(60, 8)
    assert torch.equal(user.eval()(items_ND, batch), user(items_ND, batch))
    torch.manual_seed(1)
    first, second = user.train()(items_ND, batch), user(items_ND, batch)
    assert not torch.allclose(first, second)
    assert torch.isfinite(first).all()


def test_a_query_that_sees_nothing_harms_no_weight(make_batch):
    batch = make_batch()
    blind = replace(batch, groups_BL=torch.where(torch.arange(8)[:, None] == 0, -1, batch.groups_BL))
    user = MeanUser(8, dropout=0.0, length_exponent=0.5)
    user(torch.randn(60, 8), blind).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in user.parameters())


@pytest.mark.parametrize(
    "wrong", [{"event_dropout": 1.0}, {"event_dropout": -0.1}, {"length_exponent": 1.5}, {"recency": 0.0}]
)
def test_refuses_shares_out_of_range(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        MeanUser(8, **wrong)
