"""The cross encoder through the real command: alone, and behind the first stage of another run."""

from __future__ import annotations

import pandas as pd
import pytest

from divrec.run.evaluate import main as evaluate
from run.command import command
from run.tiny import record_of

SETTINGS = (
    "+experiment=cross_encoder",
    "data.profiles.text.max_tokens=16",
    "model.max_tokens=24",
    "model.trained_layers=1",
    "model.candidates=15",
    "task.num_negatives=10",
    "data.steps_per_epoch=3",
    "data.batch_size=8",
    "schedule.steps=4",
    "schedule.warmup=1",
    "schedule.validate_every=2",
)


@pytest.fixture
def first_stage(tiny_shop, tmp_path):
    folder = tmp_path / "first"
    assert tiny_shop.train(folder, "model=item_knn").code == 0
    return folder


def lists(folder):
    return pd.read_parquet(folder / "slates.parquet").groupby(["split", "user_id"])["item_id"].agg(set)


def test_it_puts_a_first_stages_candidates_in_another_order(first_stage, tiny_shop, tmp_path):
    folder = tmp_path / "second"
    answer = tiny_shop.train(folder, *SETTINGS, f"model.first_stage={first_stage}", "model.candidates=10")
    assert answer.code == 0, answer.text
    assert answer.text.count("validation/auc_of_candidates 0.") == 2, "at each validation"
    record = record_of(folder)
    assert 0 < record["model"]["trainable"] < record["model"]["parameters"]
    assert (lists(folder) == lists(first_stage)).all(), "ten candidates, ten places"
    one, other = (pd.read_parquet(each / "slates.parquet") for each in (first_stage, folder))
    assert one.item_id.tolist() != other.item_id.tolist()
    first_stage.rename(tmp_path / "moved")
    moved = (*SETTINGS, f"model.first_stage={tmp_path / 'moved'}", "model.candidates=10")
    assert "finished before" in tiny_shop.train(folder, *moved).text, "where it lies decides no number"
    assert tiny_shop.train(tmp_path / "moved", "model=item_knn").code == 0
    assert "holds a finished run of other settings" in tiny_shop.train(folder, *SETTINGS, "model.candidates=10").text


def test_alone_it_trains_and_can_be_re_ranked_afterwards(tiny_shop, tmp_path):
    folder = tmp_path / "alone"
    answer = tiny_shop.train(folder, *SETTINGS)
    assert answer.code == 0, answer.text
    assert command(evaluate, f"run={folder}", "rerank=mmr").code == 0
    points = list((folder / "points").iterdir())
    assert points
    assert all(not (lists(each) == lists(folder)).all() for each in points)


def test_a_regularizer_acts_on_its_candidates(tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", *SETTINGS, "beta=0.5", "diversity=simpson")
    assert answer.code == 0, answer.text
    assert record_of(tmp_path / "run")["objective"]["ratio"]["simpson"] > 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("model.first_stage=nowhere",), "holds no finished run"),
        (("task.num_negatives=null",), "compares with all items"),
        (("model.trained_layers=7",), "has 2 layers"),
        (("data.profiles=null",), "carry no profiles"),
    ],
)
def test_mistakes_are_named(settings, said, tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", *SETTINGS, *settings)
    assert answer.code == 1
    assert said in answer.text


def test_a_first_stage_of_other_data_is_refused(first_stage, tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", *SETTINGS, f"model.first_stage={first_stage}", "data.source.users=100")
    assert answer.code == 1
    assert "was trained on other data" in answer.text
