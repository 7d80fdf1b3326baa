"""Item vectors that start as text, and weights of an item tower that earlier versions have saved."""

from __future__ import annotations

import pytest
import torch

from divrec.errors import ConfigError
from divrec.models.item import ItemShape, ItemTower
from divrec.models.tuning.frozen import FixedVectors

TEXT_OF_ITEM = torch.tensor([0, 1, 2, 1])


def tower(shape: ItemShape | None = None, vectors_TW: torch.Tensor | None = None) -> ItemTower:
    shape, vectors_TW = shape or ItemShape(4, 5), torch.eye(3) if vectors_TW is None else vectors_TW
    return ItemTower(FixedVectors(vectors_TW), TEXT_OF_ITEM, 3, shape, torch.ones(4))


def test_vectors_that_start_as_text_are_text_up_to_a_gain_and_move_from_there():
    vectors_TW = torch.nn.functional.normalize(torch.randn(3, 3), dim=-1)
    items = tower(ItemShape(3, 5, "text", start="text"), vectors_TW)
    gain = items.scale.item()
    torch.testing.assert_close(items(), gain * vectors_TW[TEXT_OF_ITEM])
    assert gain**2 == pytest.approx(10)
    loss = (items() @ torch.randn(3)).logsumexp(0)
    loss.backward()
    trained = [name for name, each in items.named_parameters() if each.grad is not None and each.grad.any()]
    assert "project.2.weight" in trained, "the correction starts at zero, and learns"


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: tower(ItemShape(4, 5, "text", start="text")), r"model\.dim.*got 4.*Set it to 3"),
        (lambda: ItemShape(3, 5, "id", start="text"), r"model\.start.*representation=text"),
        (lambda: ItemShape(3, 5, start="zero"), r"model\.start: no such start"),
    ],
)
def test_starts_that_cannot_be_are_refused(make, where):
    with pytest.raises(ConfigError, match=where):
        make()


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
