"""User encoders that read profile texts."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from divrec.errors import ConfigError
from divrec.models import AttentionProfileUser, AttentionUser, ProfileUser

DIM = 8
PROFILE = partial(ProfileUser, hidden=16, dropout=0.0, output_gain=1.0)
ATTENTION = partial(AttentionUser, dropout=0.0, output_gain=1.0)
BOTH = partial(AttentionProfileUser, attention=ATTENTION, profile=PROFILE)


@pytest.fixture
def profiles():
    vectors = torch.nn.functional.normalize(torch.randn(9, 5, generator=torch.Generator().manual_seed(4)), dim=-1)
    vectors[0] = 0
    return vectors


@pytest.fixture
def batch(make_batch):
    one = make_batch()
    return replace(one, profiles_Q=torch.arange(len(one.query_rows_Q)))


@pytest.fixture
def items():
    return torch.randn(60, DIM, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("user", [PROFILE, partial(BOTH, combine="sum"), partial(BOTH, combine="gate")])
def test_users_follow_their_profiles_alone(user, profiles, batch, items):
    encoder = user(dim=DIM, profiles_PW=profiles, event_kinds=1)
    users = encoder(items, batch)
    assert users.shape == (8, DIM)
    moved = batch.profiles_Q.clone()
    moved[2] = 0
    changed = (encoder(items, replace(batch, profiles_Q=moved)) - users).abs().amax(-1) > 1e-4
    assert changed.nonzero().flatten().tolist() == [2]


def test_the_parts_are_added_or_weighed(profiles, batch, items):
    torch.manual_seed(1)
    both = BOTH(dim=DIM, profiles_PW=profiles, combine="gate")
    history, profile = both.attention(items, batch), both.profile(items, batch)
    low, high = torch.minimum(history, profile), torch.maximum(history, profile)
    mixed = both(items, batch)
    assert ((mixed >= low - 1e-6) & (mixed <= high + 1e-6)).all()
    both.gate = None
    assert torch.equal(both(items, batch), history + profile)


def test_the_vectors_are_neither_trained_nor_saved(profiles, batch, items):
    encoder = PROFILE(dim=DIM, profiles_PW=profiles)
    encoder(items, batch).square().sum().backward()
    assert all(each.grad is not None for each in encoder.parameters())
    assert not [name for name in encoder.state_dict() if "profiles" in name]


def test_missing_profiles_and_unknown_ways_are_refused(profiles, make_batch, items):
    with pytest.raises(ConfigError, match=r"data\.profiles"):
        PROFILE(dim=DIM)
    with pytest.raises(ConfigError, match=r"data\.profiles"):
        PROFILE(dim=DIM, profiles_PW=profiles)(items, make_batch())
    with pytest.raises(ConfigError, match=r"user\.combine"):
        BOTH(dim=DIM, profiles_PW=profiles, combine="product")
