"""Weights of an item tower that earlier versions have saved."""

from __future__ import annotations

import torch

from divrec.models.item import ItemShape, ItemTower
from divrec.models.tuning.frozen import FixedVectors


def tower() -> ItemTower:
    return ItemTower(FixedVectors(torch.eye(3)), torch.tensor([0, 1, 2, 1]), 3, ItemShape(4, 5), torch.ones(4))


def test_a_scale_without_dimensions_loads_and_nothing_else_is_touched():
    saved, parent = tower(), torch.nn.Sequential(tower())
    with torch.no_grad():
        saved.scale.fill_(0.7)
    old = {f"0.{name}": value.clone() for name, value in saved.state_dict().items()}
    old["0.scale"] = old["0.scale"].squeeze()
    assert old["0.scale"].ndim == 0
    parent.load_state_dict(old)
    assert parent[0].scale.shape == (1,)
    assert torch.equal(parent[0](), saved())
    assert not torch.equal(tower()(), saved())
