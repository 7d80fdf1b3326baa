"""Weights on disk."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from divrec.errors import ConfigError, RecordError
from divrec.training import load_weights, save_weights


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_weights_come_back_from_disk_as_they_were(tmp_path):
    model, other = nn.Linear(3, 4), nn.Linear(3, 4)
    save_weights(model, tmp_path)
    load_weights(other, tmp_path)
    assert same(model.state_dict(), other.state_dict())
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_saving_again_replaces(tmp_path):
    one, other = nn.Linear(3, 4), nn.Linear(3, 4)
    save_weights(one, tmp_path)
    save_weights(other, tmp_path)
    load_weights(one, tmp_path)
    assert same(one.state_dict(), other.state_dict())


@pytest.mark.parametrize("other", [nn.Linear(3, 5), nn.Sequential(nn.Linear(3, 4)), nn.Linear(3, 4, bias=False)])
def test_another_models_weights_are_refused_and_change_nothing(other, tmp_path):
    save_weights(nn.Linear(3, 4), tmp_path)
    before = {name: tensor.clone() for name, tensor in other.state_dict().items()}
    with pytest.raises(ConfigError, match="init_from: the weights belong to another model") as caught:
        load_weights(other, tmp_path)
    assert "Use the same model" in str(caught.value)
    if "weight" not in before or before["weight"].shape != (4, 3):
        assert same(other.state_dict(), before)


def test_missing_and_broken_weights_are_named(tmp_path):
    with pytest.raises(RecordError, match=r"model\.safetensors: no weights here"):
        load_weights(nn.Linear(3, 4), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"nope")
    with pytest.raises(RecordError, match=r"model\.safetensors: the weights cannot be read"):
        load_weights(nn.Linear(3, 4), tmp_path)
