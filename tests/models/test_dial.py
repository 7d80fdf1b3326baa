"""A dial between siblings: exact at its ends, linear in between, whatever the tensors are."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from divrec.errors import ConfigError, RecordError
from divrec.models import (
    AttentionUser,
    Dial,
    Frozen,
    ItemTexts,
    Lora,
    TableSettings,
    TextEncoder,
    TwoTower,
    changed_weights,
    load_dial,
    save_dial,
)

AMOUNTS = st.floats(-2, 2, allow_nan=False)


class Mixture(nn.Module):
    """Weights of two precisions, a frozen one, running statistics and a counter."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        # Sizes far apart: where (sibling - base) + base does not round back to the sibling.
        self.wide = nn.Parameter(torch.randn(6, generator=generator) * 10.0 ** torch.arange(-12, 6, 3))
        self.narrow = nn.Parameter(torch.randn(4, generator=generator).bfloat16())
        self.frozen = nn.Parameter(torch.arange(3.0), requires_grad=False)
        self.register_buffer("running", torch.rand(3, generator=generator))
        self.register_buffer("seen", torch.tensor(seed))
        self.register_buffer("flags", torch.tensor([True, seed == 0]))


def state(seed):
    return {name: tensor.clone() for name, tensor in Mixture(seed).state_dict().items()}


def dial(*siblings):
    base = state(0)
    return Dial(Mixture(9), base, {f"sibling-{seed}": changed_weights(base, state(seed)) for seed in siblings})


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("siblings", [(1,), (1, 2), (1, 2, 3)])
def test_the_ends_are_the_base_and_the_siblings_exactly(siblings):
    turned = dial(*siblings)
    assert same(turned.model.state_dict(), state(0)), "all dials at 0 to begin with"
    for place, seed in enumerate(siblings):
        turned.set(*[float(place == other) for other in range(len(siblings))])
        assert same(turned.model.state_dict(), state(seed))
        assert turned.amounts[place] == 1
        turned.set(*[0] * len(siblings))
        assert same(turned.model.state_dict(), state(0))


@given(one=AMOUNTS, other=AMOUNTS)
@settings(max_examples=50, deadline=None)
def test_weights_are_linear_in_the_amounts(one, other):
    turned = dial(1, 2)
    turned.set(one, other)
    base, first, second = (state(seed) for seed in range(3))
    for name in ("wide", "running"):
        start = base[name].double()
        expected = start + one * (first[name] - start) + other * (second[name] - start)
        size = torch.stack([part[name].double().abs() for part in (base, first, second)]).sum(0)
        assert ((turned.model.state_dict()[name] - expected).abs() <= 1e-6 * size).all()


def test_what_cannot_be_mixed_is_the_bases_in_between():
    turned = dial(1)
    turned.set(0.5)
    now, base = turned.model.state_dict(), state(0)
    assert torch.equal(now["seen"], base["seen"])
    assert torch.equal(now["flags"], base["flags"])
    assert now["narrow"].dtype == torch.bfloat16
    assert not torch.equal(now["narrow"], base["narrow"])


def test_only_what_training_changed_is_kept():
    changed = changed_weights(state(0), state(1))
    assert set(changed) == {"wide", "narrow", "running", "seen", "flags"}
    assert changed_weights(state(0), state(0)) == {}


def test_the_base_and_the_siblings_may_change_afterwards():
    base, sibling = state(0), state(1)
    turned = Dial(Mixture(9), base, {"on": changed_weights(base, sibling)})
    for tensor in (*base.values(), *sibling.values()):
        tensor.zero_()
    turned.set(1)
    assert same(turned.model.state_dict(), state(1))
    turned.model.state_dict()["wide"].zero_()
    turned.set(0)
    assert same(turned.model.state_dict(), state(0))


def test_models_of_other_shapes_are_refused():
    other = state(1)
    other["wide"] = torch.zeros(7)
    del other["narrow"]
    with pytest.raises(ConfigError, match=r"toward: only models of one shape.*narrow.*wide"):
        changed_weights(state(0), other)


@pytest.mark.parametrize("amounts", [(), (1, 2, 3), (float("nan"), 0), (float("inf"), 0), ("a", 0), (True, 0)])
def test_amounts_that_make_no_sense_are_refused(amounts):
    turned = dial(1, 2)
    turned.set(0.25, 0.5)
    before = {name: tensor.clone() for name, tensor in turned.model.state_dict().items()}
    with pytest.raises(ConfigError, match="amounts"):
        turned.set(*amounts)
    assert same(turned.model.state_dict(), before)
    assert turned.amounts == (0.25, 0.5)


def test_dials_survive_the_disk_and_know_their_base(tmp_path):
    base = state(0)
    changes = {name: changed_weights(base, state(seed)) for name, seed in (("gini-1", 1), ("simpson-0.3", 2))}
    save_dial(tmp_path, base, changes, {"control": "some identity"})
    model = Mixture(0)
    turned = load_dial(tmp_path, model)
    assert turned.names == ("gini-1", "simpson-0.3")
    assert turned.amounts == (0, 0)
    for amounts, seed in (((1, 0), 1), ((0, 1), 2), ((0, 0), 0)):
        turned.set(*amounts)
        assert same(model.state_dict(), state(seed))
    with pytest.raises(RecordError, match="another base"):
        load_dial(tmp_path, Mixture(1))
    (tmp_path / "gini-1.safetensors").write_bytes(b"half a file")
    with pytest.raises(RecordError, match="no dials here"):
        load_dial(tmp_path, Mixture(0))
    with pytest.raises(RecordError, match="no dials here"):
        load_dial(tmp_path / "nowhere", Mixture(0))


def test_what_did_not_change_takes_no_room(tmp_path):
    base = state(0)
    save_dial(tmp_path, base, {"same": changed_weights(base, state(0))}, {})
    assert (tmp_path / "same.safetensors").stat().st_size < 100
    turned = load_dial(tmp_path, Mixture(0))
    turned.set(0.7)
    assert same(turned.model.state_dict(), base)


@pytest.fixture
def recommender(tiny_plm, tmp_path):
    encoder = TextEncoder(str(tiny_plm))
    texts = ItemTexts.encode(encoder, [f"red apple {place % 7}" for place in range(60)], tmp_path, 4)
    user = partial(AttentionUser, dropout=0.0, output_gain=1.0)
    return TwoTower(user, dim=8, hidden=8)(encoder, Frozen(), texts, 1, torch.arange(60)).eval()


def test_a_recommender_that_serves_scores_anew_at_each_turn(recommender, make_batch):
    base = {name: tensor.clone() for name, tensor in recommender.state_dict().items()}
    sibling = {name: tensor + 0.1 * torch.randn_like(tensor) for name, tensor in base.items()}
    turned, batch = Dial(recommender, base, {"on": changed_weights(base, sibling)}), make_batch()
    scores = []
    with torch.no_grad():
        for amount in (0, 1, 0):
            turned.set(amount)
            scores.append(recommender(batch).scores_QN)  # from a kept item table, were it not dropped
        recommender.load_state_dict(sibling)
        recommender.train().eval()
        assert torch.equal(scores[1], recommender(batch).scores_QN)
    assert torch.equal(scores[0], scores[2])
    assert not torch.allclose(scores[0], scores[1])


def test_a_turn_leaves_every_modules_mode_as_it_was(recommender):
    base = recommender.state_dict()
    recommender.train()
    recommender.item_tower.eval()  # a frozen part
    Dial(recommender, base, {}).set()
    assert recommender.training
    assert not recommender.item_tower.training


@pytest.mark.parametrize("refresh", ["epoch", "live"])
def test_a_dial_of_low_rank_adapters_holds_nothing_but_them(refresh, tiny_plm, tmp_path, make_batch):
    encoder = TextEncoder(str(tiny_plm))
    words = ("red", "green", "soft", "apple", "pear", "milk")
    texts = ItemTexts.encode(encoder, [f"{words[p % 6]} {words[p // 6 % 6]}" for p in range(60)], tmp_path, 4)
    recipe = TwoTower(partial(AttentionUser, dropout=0.0, output_gain=1.0), dim=8, hidden=8)
    tuning = Lora(table=TableSettings(refresh=refresh))
    model = recipe(encoder, tuning, texts, 1, torch.arange(60)).eval()
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sibling = {name: base[name] + 0.3 * torch.randn_like(base[name]) if "lora" in name else base[name] for name in base}
    changed = changed_weights(base, sibling)
    assert changed
    assert all("lora" in name for name in changed)
    save_dial(tmp_path / "dial", base, {"on": changed}, {})
    turned, scores = load_dial(tmp_path / "dial", model), {}
    with torch.no_grad():
        for amount in (1, 0.5, 0):
            turned.set(amount)
            scores[amount] = model(make_batch()).scores_QN
        model.load_state_dict(sibling)
        model.train().eval()
        assert torch.equal(model(make_batch()).scores_QN, scores[1])
    assert not torch.allclose(scores[0.5], scores[0])
    assert not torch.allclose(scores[0.5], scores[1])
