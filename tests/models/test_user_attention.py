"""What can be switched on in the attention encoder: the distance to the window's end, and gated blocks."""

from dataclasses import replace

import pytest
import torch

from divrec.models import AttentionUser

DIM = 8


@pytest.fixture
def batch(make_batch):
    """Moments hold events (0, 1), (2, 3), (4)."""
    return make_batch()


@pytest.fixture
def items():
    return torch.randn(60, DIM, generator=torch.Generator().manual_seed(3))


def encoder(**settings):
    torch.manual_seed(0)
    return AttentionUser(DIM, dropout=0.0, output_gain=1.0, **settings).eval()


def places_trained(**settings):
    user = encoder(from_end=True, **settings)
    torch.nn.init.normal_(user.from_end.weight)
    return user


def asked_at_the_start(batch):
    return replace(batch, query_groups_Q=torch.zeros_like(batch.query_groups_Q))


def without_the_last_event(batch):
    return replace(
        batch,
        items_BL=batch.items_BL[:, :4],
        groups_BL=batch.groups_BL[:, :4],
        events_BL=batch.events_BL[:, :4],
        history_QS=batch.history_QS[:, :4],
    )


def with_other_later_items(batch):
    items_BL = batch.items_BL.clone()
    items_BL[:, 2:] = (items_BL[:, 2:] + 7) % 60
    return replace(batch, items_BL=items_BL)


@pytest.mark.parametrize("settings", [{}, {"pooling": "last"}, {"blocks": 2, "heads": 2}])
def test_it_starts_as_the_encoder_that_does_not_know_the_end(settings, batch, items):
    without, drawn = encoder(**settings), torch.get_rng_state()
    fresh = encoder(from_end=True, **settings)
    assert torch.equal(torch.get_rng_state(), drawn), "what is built after it starts as it did, too"
    assert not any("from_end" in name for name in without.state_dict()), "off means absent"
    assert torch.equal(fresh(items, batch), without(items, batch))


@pytest.mark.parametrize("pooling", ["last", "all"])
def test_a_query_is_told_how_many_moments_come_after_it_but_not_which(pooling, batch, items):
    user, early = places_trained(pooling=pooling), asked_at_the_start(batch)
    assert torch.allclose(user(items, early), user(items, with_other_later_items(early)), atol=1e-6)
    assert not torch.allclose(user(items, early), user(items, without_the_last_event(early)), atol=1e-3)
    ignorant = encoder(pooling=pooling)
    assert torch.allclose(ignorant(items, early), ignorant(items, without_the_last_event(early)), atol=1e-6)


def test_the_end_is_counted_in_moments(batch, items):
    """Items of one moment stay interchangeable, and padding before the window changes nothing."""
    user, pad = places_trained(), torch.nn.functional.pad
    swapped = replace(batch, items_BL=batch.items_BL[:, [1, 0, 3, 2, 4]])
    padded = replace(
        batch,
        items_BL=pad(batch.items_BL, (3, 0)),
        groups_BL=pad(batch.groups_BL, (3, 0), value=-1),
        events_BL=pad(batch.events_BL, (3, 0)),
    )
    for same in (swapped, padded):
        assert torch.allclose(user(items, batch), user(items, same), atol=1e-5)


def rows_of(batch, rows, columns):
    """Some rows and places of a batch with one query a row."""
    return replace(
        batch,
        users_B=batch.users_B[rows],
        items_BL=batch.items_BL[rows][:, columns],
        groups_BL=batch.groups_BL[rows][:, columns],
        events_BL=batch.events_BL[rows][:, columns],
        history_QS=batch.history_QS[rows][:, columns],
        query_rows_Q=torch.arange(len(rows)),
        query_groups_Q=batch.query_groups_Q[rows],
    )


def test_each_window_has_an_end_of_its_own(make_batch, items):
    """Row 1 begins late; in row 2 an event amid and the last one are of kinds that are not read."""
    batch, user = make_batch(rows=3, length=6), places_trained()
    groups_BL = torch.tensor([[0, 0, 1, 1, 2, 2], [-1, -1, -1, 0, 1, 1], [0, -1, 1, 2, 2, -1]])
    batch = replace(batch, groups_BL=groups_BL, query_groups_Q=torch.tensor([2, 1, 2]))
    together = user(items, batch)
    for row, read in enumerate(groups_BL >= 0):
        alone = user(items, rows_of(batch, torch.tensor([row]), read.nonzero().squeeze(-1)))
        assert torch.allclose(together[row], alone[0], atol=1e-5)


def test_far_from_the_end_all_places_are_one(make_batch, items):
    long = make_batch(length=11)  # the first moment is 5 before the last
    near, far = places_trained(max_distance=4), places_trained(max_distance=64)
    with torch.no_grad():
        far.from_end.weight[:5] = near.from_end.weight
        far.from_end.weight[5:] = near.from_end.weight[4]
    assert torch.allclose(near(items, long), far(items, long), atol=1e-6)


@pytest.mark.parametrize("pooling", ["last", "all"])
def test_an_open_gate_is_none_and_a_shut_one_leaves_the_items_alone(pooling, batch, items):
    plain, gated = encoder(pooling=pooling), encoder(gated=True, pooling=pooling)
    left_over = gated.load_state_dict(plain.state_dict(), strict=False)
    assert not left_over.unexpected_keys
    assert all("gate" in name for name in left_over.missing_keys)
    assert not any("gate" in name for name in plain.state_dict()), "off means absent"
    gates = [layer for name, layer in gated.named_modules() if name.endswith("gate")]
    assert len(gates) == 2
    for gate in gates:
        torch.nn.init.zeros_(gate.weight)
        torch.nn.init.constant_(gate.bias, 100)
    assert torch.allclose(gated(items, batch), plain(items, batch), atol=1e-6)
    for gate in gates:
        torch.nn.init.constant_(gate.bias, -100)
    events = items[batch.items_BL] * gated.input_scale
    normed = torch.nn.functional.layer_norm(events, (DIM,))
    expected = normed[:, -1] if pooling == "last" else normed.mean(1)
    assert torch.allclose(gated(items, batch), expected, atol=1e-5)


def shut(gate):
    torch.nn.init.zeros_(gate.weight)
    torch.nn.init.constant_(gate.bias, -100)


def test_the_gate_of_the_feedforward_reads_the_event_that_it_adds_to(batch, items):
    """x + f(x) * sigmoid(W x + b), LiGR (Borisyuk et al. 2025); attention and dropout out of the way."""
    gated = encoder(gated=True)
    block = gated.blocks[0]
    shut(block.attention_gate)
    events = items[batch.items_BL] * gated.input_scale
    after = events + block.feedforward(block.feedforward_norm(events)) * block.feedforward_gate(events).sigmoid()
    assert torch.allclose(gated(items, batch), gated.norm(after).mean(1), atol=1e-5)


def test_the_gate_of_the_attention_reads_the_event_that_it_adds_to(make_batch, items):
    """In a window of one event attention is that event's own value."""
    gated, batch = encoder(gated=True), make_batch(length=1)
    block = gated.blocks[0]
    shut(block.feedforward_gate)
    events = items[batch.items_BL[:, 0]] * gated.input_scale
    value = block.query_key_value(block.attention_norm(events)).chunk(3, dim=-1)[2]
    after = events + block.output(value) * block.attention_gate(events).sigmoid()
    assert torch.allclose(gated(items, batch), gated.norm(after), atol=1e-5)


@pytest.mark.parametrize("pooling", ["last", "all"])
@pytest.mark.parametrize("settings", [{"from_end": True}, {"gated": True}, {"from_end": True, "gated": True}])
def test_what_is_switched_on_learns(settings, pooling, batch, items):
    user = encoder(pooling=pooling, **settings)
    (user(items, batch) @ torch.randn(DIM, generator=torch.Generator().manual_seed(5))).sum().backward()
    assert all(weight.grad is not None for weight in user.parameters()), "processes that average gradients would wait"
    for name, weight in user.named_parameters():
        if "gate" in name or name == "from_end.weight":
            assert weight.grad.abs().max() > 1e-4, name
