"""A killed run goes on by itself when it is started again, and ends as an unbroken one; several devices in one run."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from divrec.schema import CURVE_FILE
from divrec.training import CHECKPOINT_FOLDER, TrainingCheckpoint
from run.command import subprocess_command
from run.tiny import SCHEDULE, record_of, same_files, without_times

POINT = ("beta=1", "diversity=[simpson,gini]", "task=bce", "schedule.steps=6", "schedule.patience=null")


def weights(folder):
    return load_file(folder / "model" / "model.safetensors")


@pytest.fixture
def killed(tiny_shop, tmp_path, monkeypatch, request):
    """The folder of a run that was killed after its third step."""
    keep = TrainingCheckpoint._keep

    def keep_and_die(self, trainer):
        keep(self, trainer)
        if trainer.global_step == 3:
            raise SystemExit(9)

    monkeypatch.setattr(TrainingCheckpoint, "_keep", keep_and_die)
    assert tiny_shop.train(tmp_path / "killed", *getattr(request, "param", POINT), "checkpoint_minutes=0").code == 9
    monkeypatch.undo()
    return tmp_path / "killed"


def test_a_killed_run_goes_on_by_itself_and_ends_as_an_unbroken_one(killed, tiny_shop, tmp_path):
    assert (killed / CHECKPOINT_FOLDER).is_dir()
    assert not (killed / "record.json").exists()
    unbroken = tmp_path / "unbroken"
    assert tiny_shop.train(unbroken, *POINT).code == 0
    answer = tiny_shop.train(killed, *POINT)
    assert answer.code == 0
    assert "goes on at step 3" in answer.text
    assert not (killed / CHECKPOINT_FOLDER).exists()
    one, other = record_of(killed), record_of(unbroken)
    assert without_times(one) == without_times(other)
    assert one["cost"]["steps"] == 6
    assert same_files(killed, unbroken)
    assert (killed / CURVE_FILE).read_text() == (unbroken / CURVE_FILE).read_text()
    found, wanted = weights(killed), weights(unbroken)
    assert all((found[name] == wanted[name]).all() for name in wanted)


TUNED = (*POINT, "tuning=lora", "tuning.rank=2")


@pytest.mark.parametrize("killed", [TUNED], indirect=True)
def test_a_run_that_went_on_has_the_gradient_norms_of_its_beginning(killed, tiny_shop, tmp_path):
    unbroken = tmp_path / "unbroken"
    assert tiny_shop.train(unbroken, *TUNED).code == 0
    assert "goes on at step 3" in tiny_shop.train(killed, *TUNED).text
    one, other = record_of(killed), record_of(unbroken)
    assert set(other["objective"]["plm_gradient"]) == {"task", "simpson", "gini"}
    assert without_times(one) == without_times(other)


def test_with_other_settings_it_starts_anew_and_says_so(killed, tiny_shop):
    answer = tiny_shop.train(killed, *POINT, "schedule.learning_rate=1e-5")
    assert answer.code == 0
    assert "starts anew" in answer.text
    assert "goes on" not in answer.text
    assert not (killed / CHECKPOINT_FOLDER).exists()


def test_compiled_and_in_other_precisions_it_trains(tiny_shop, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.nn.Module.compile", lambda self: calls.append(type(self).__name__))
    calls: list[str] = []
    assert tiny_shop.train(tmp_path / "compiled", "compile=true").code == 0
    assert calls == ["Recommender"]
    losses, trained = {}, []
    for precision in ("32-true", "bf16-mixed"):
        folder = tmp_path / precision
        assert tiny_shop.train(folder, *POINT, f"trainer.precision={precision}").code == 0
        losses[precision] = record_of(folder)["metrics"]["test"]["auc"]
        trained.append(weights(folder))
    assert losses["bf16-mixed"] == pytest.approx(losses["32-true"], abs=5e-2)
    moved = [name for name in trained[0] if not (trained[0][name] == trained[1][name]).all()]
    assert moved, "the setting has reached the training"


TORCHRUN = ("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "divrec.run.train")


@pytest.mark.slow
def test_a_compiled_training_ends_in_the_weights_of_one_that_is_not(tiny_shop, tmp_path, monkeypatch):
    compile_module = torch.nn.Module.compile
    # Traced and differentiated as ever, but not handed to a compiler, which not every machine has.
    monkeypatch.setattr("torch.nn.Module.compile", lambda self: compile_module(self, backend="aot_eager"))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    point = (*POINT, "user=mean", "user.dropout=0")  # the ratios go through a compiled backward pass twice
    assert tiny_shop.train(tmp_path / "plain", *point).code == 0
    answer = tiny_shop.train(tmp_path / "compiled", *point, "compile=true")
    assert answer.code == 0, answer.text
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0, "something was compiled"
    found, wanted = weights(tmp_path / "compiled"), weights(tmp_path / "plain")
    assert all(torch.allclose(found[name], wanted[name], atol=1e-4) for name in wanted)


@pytest.mark.slow
@pytest.mark.parametrize("started", [("divrec.run.train",), TORCHRUN], ids=["by Lightning", "by torchrun"])
def test_two_devices_leave_the_record_that_one_leaves(started, tiny_shop, tmp_path):
    point = (*POINT, "user=mean", "user.dropout=0")
    assert tiny_shop.train(tmp_path / "one", *point).code == 0
    places = (*tiny_shop.overrides, "logger=csv", f"hydra.run.dir={tmp_path / 'two'}", *SCHEDULE, *point)
    answer = subprocess_command(*started, *places, "trainer=ddp", "trainer.accelerator=cpu")
    assert answer.code == 0, answer.text
    one, two = record_of(tmp_path / "one"), record_of(tmp_path / "two")
    assert one["identity"] == two["identity"]
    assert two["objective"]["ratio"] == pytest.approx(one["objective"]["ratio"], rel=1e-3)
    for split in ("validation", "test"):
        for name in ("auc", "ndcg@10", "gini@10", "ilad@10"):
            assert two["metrics"][split][name] == pytest.approx(one["metrics"][split][name], abs=2e-2), name
    found, wanted = weights(tmp_path / "two"), weights(tmp_path / "one")
    assert all(torch.allclose(found[name], wanted[name], atol=1e-3) for name in wanted)
    assert answer.text.count("training up to") == 1, "the second process keeps quiet"
