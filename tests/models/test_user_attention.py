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
    torch.nn.init.normal_(user.from_end)
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
    without, fresh = encoder(**settings), encoder(from_end=True, **settings)
    assert "from_end" not in without.state_dict(), "off means absent"
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


def test_far_from_the_end_all_places_are_one(make_batch, items):
    long = make_batch(length=11)  # the first moment is 5 before the last
    near, far = places_trained(max_distance=4), places_trained(max_distance=64)
    with torch.no_grad():
        far.from_end[:5] = near.from_end
        far.from_end[5:] = near.from_end[4]
        for block, other in zip(near.blocks, far.blocks, strict=True):
            block.distance_bias.zero_()
            other.distance_bias.zero_()
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


def test_the_gate_reads_the_event_that_it_adds_to(batch, items):
    """x + f(x) * sigmoid(W x), LiGR (Borisyuk et al. 2025); attention and dropout out of the way."""
    gated = encoder(gated=True)
    block = gated.blocks[0]
    torch.nn.init.constant_(block.attention_gate.bias, -100)
    torch.nn.init.zeros_(block.attention_gate.weight)
    events = items[batch.items_BL] * gated.input_scale
    added = block.feedforward(block.feedforward_norm(events))
    after = events + added * torch.sigmoid(block.feedforward_gate(events))
    assert torch.allclose(gated(items, batch), gated.norm(after).mean(1), atol=1e-5)


@pytest.mark.parametrize("settings", [{"from_end": True}, {"gated": True}, {"from_end": True, "gated": True}])
def test_every_weight_learns(settings, batch, items):
    """Processes that average gradients fail on a weight without one."""
    user = encoder(pooling="last", **settings)
    user(items, batch).square().sum().backward()
    assert all(weight.grad is not None for weight in user.parameters())
