"""The cross encoder through the real command: alone, and behind the first stage of another run."""

from __future__ import annotations

import json
import shutil

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


@pytest.fixture(scope="module")
def first_stage(tiny_shop, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first") / "item_knn"
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
    moved = shutil.copytree(first_stage, tmp_path / "moved")
    again = tiny_shop.train(folder, *SETTINGS, f"model.first_stage={moved}", "model.candidates=10")
    assert "finished before" in again.text, "where it lies decides no number"
    without = tiny_shop.train(folder, *SETTINGS, "model.candidates=10")
    assert "holds a finished run of other settings" in without.text


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
    ],
)
def test_mistakes_are_named(settings, said, tiny_shop, tmp_path):
    answer = tiny_shop.train(tmp_path / "run", *SETTINGS, *settings)
    assert answer.code == 1
    assert said in answer.text


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data": {"name": "other", "fingerprint": "0"}}, "was trained on other data (other, 0)"),
        ({"config": {"data": {"profiles": {"cuts": 3}}}}, "reads other profile texts"),
    ],
)
def test_a_first_stage_that_does_not_fit_is_refused(changed, said, first_stage, tiny_shop, tmp_path):
    folder = shutil.copytree(first_stage, tmp_path / "other")
    (folder / "record.json").write_text(json.dumps(record_of(folder) | changed), encoding="utf-8")
    answer = tiny_shop.train(tmp_path / "run", *SETTINGS, f"model.first_stage={folder}")
    assert answer.code == 1
    assert said in answer.text
