"""The table of a training step's time, through the real command."""

from __future__ import annotations

import pytest

from divrec.run.profile import main
from run.command import command

SETTINGS = ("profile.steps=2", "profile.warmup=1", "profile.operators=2", "trainer.accelerator=cpu")


def test_it_prints_phases_and_operators_and_leaves_nothing(tiny_shop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = command(main, *tiny_shop.overrides, *SETTINGS, "beta=1", "diversity=gini", "trainer.precision=bf16-mixed")
    assert answer.code == 0, answer.text
    for phase in ("data", "model: item_tower", "model: user", "loss: task", "loss: gini", "backward", "optimizer"):
        assert phase in answer.text
    assert "aten::" in answer.text
    assert "100 %" in answer.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("override", "key"), [("profile.steps=0", "profile.steps"), ("model=popular", "is not trained in steps")]
)
def test_what_cannot_be_profiled_is_refused(override, key, tiny_shop):
    answer = command(main, *tiny_shop.overrides, *SETTINGS, override)
    assert answer.code != 0
    assert "Traceback" not in answer.text
    assert key in answer.text
