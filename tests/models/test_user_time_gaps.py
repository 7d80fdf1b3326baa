"""Times between events in the attention encoder."""

from dataclasses import replace

import pytest
import torch

from divrec.errors import ConfigError
from divrec.models import AttentionUser
from divrec.models.user import gap_buckets

DAY = 86_400
DIM = 8


@pytest.fixture
def batch(make_batch):
    """Moments hold events (0, 1), (2, 3), (4), a day and then ten days apart."""
    one = make_batch()
    times = torch.tensor([0, 0, DAY, DAY, 11 * DAY]) + 1_700_000_000
    return replace(one, times_BL=times.expand_as(one.items_BL).clone())


@pytest.fixture
def items():
    return torch.randn(60, DIM, generator=torch.Generator().manual_seed(3))


def encoder(trained=True, **settings):
    torch.manual_seed(0)
    user = AttentionUser(DIM, dropout=0.0, output_gain=1.0, **({"time_gaps": True} | settings)).eval()
    if trained and user.time_gaps is not None:
        for table in user.time_gaps.parameters():
            torch.nn.init.normal_(table)
    return user


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0, 0), (59, 0), (60, 1), (119, 1), (120, 2), (3600, 6), (DAY, 11), (365 * DAY, 20), (100 * 365 * DAY, 23)],
)
def test_ranges_double(seconds, bucket):
    assert gap_buckets(torch.tensor(seconds)) == bucket


def test_ranges_never_fall():
    ranges = gap_buckets(torch.arange(0, 40 * DAY, 37))
    assert (ranges.diff() >= 0).all()
    assert ranges[0] == 0


@pytest.mark.parametrize("settings", [{}, {"pooling": "last"}, {"blocks": 2, "heads": 2}])
def test_it_starts_as_the_encoder_without_times(settings, batch, items):
    without, fresh = encoder(time_gaps=False, **settings), encoder(trained=False, **settings)
    shared = {name: tensor for name, tensor in fresh.state_dict().items() if "time_gaps" not in name}
    assert shared.keys() == without.state_dict().keys(), "off means absent"
    assert all(torch.equal(tensor, without.state_dict()[name]) for name, tensor in shared.items())
    assert torch.equal(fresh(items, batch), without(items, batch))


@pytest.mark.parametrize(
    ("pooling", "tables"), [("all", {"since_previous", "between", "age"}), ("last", {"since_previous", "between"})]
)
def test_every_table_that_is_there_learns(pooling, tables, batch, items):
    """Processes that average gradients fail on a weight without one."""
    user = encoder(trained=False, pooling=pooling)
    user(items, batch).square().sum().backward()
    assert {name for name, _ in user.time_gaps.named_parameters()} == tables
    assert all(table.grad.abs().sum() > 0 for table in user.time_gaps.parameters())
    assert all(weight.grad is not None for weight in user.parameters())


def test_times_change_users_and_a_shift_of_all_times_does_not(batch, items):
    user = encoder()
    changed = batch.times_BL.clone()
    changed[:, :2] -= 300 * DAY
    assert not torch.allclose(user(items, batch), user(items, replace(batch, times_BL=changed)), atol=1e-3)
    assert torch.equal(user(items, batch), user(items, replace(batch, times_BL=batch.times_BL + 5 * DAY)))


@pytest.mark.parametrize("pooling", ["all", "last"])
def test_later_times_change_nothing_for_an_earlier_query(pooling, batch, items):
    user = encoder(pooling=pooling)
    early = replace(batch, query_groups_Q=torch.zeros_like(batch.query_groups_Q))
    later = early.times_BL.clone()
    later[:, 2:] += 90 * DAY
    assert torch.equal(user(items, early), user(items, replace(early, times_BL=later)))


def test_padding_changes_nothing(batch, items):
    user, pad = encoder(), torch.nn.functional.pad
    padded = replace(
        batch,
        items_BL=pad(batch.items_BL, (3, 0)),
        groups_BL=pad(batch.groups_BL, (3, 0), value=-1),
        events_BL=pad(batch.events_BL, (3, 0)),
        times_BL=pad(batch.times_BL, (3, 0)),
    )
    assert torch.allclose(user(items, batch), user(items, padded), atol=1e-5)


def test_batches_without_times_are_refused(make_batch, items):
    with pytest.raises(ConfigError, match=r"user\.time_gaps"):
        encoder()(items, make_batch())
