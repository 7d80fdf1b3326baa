"""Points between the runs of a finished sweep, through the real command."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file, save_file

from divrec.analysis import read_sweep
from divrec.errors import RecordError
from divrec.models import load_dial
from divrec.run.evaluate import main as evaluate
from divrec.run.finished import open_again
from divrec.run.front import main as front
from divrec.run.interpolate import main
from divrec.training import load_weights
from run.command import command
from run.tiny import record_of


@pytest.fixture
def sweep(tiny_sweep, tmp_path):
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_sweep.folder, folder, ignore=shutil.ignore_patterns("wandb"), copy_function=shutil.copy2)
    return folder


def interpolate(sweep, base, toward, *overrides):
    listed = ",".join(str(sweep / name) for name in toward)
    return command(main, f"base={sweep / base}", f"toward=[{listed}]", *overrides)


def points(sweep):
    return {f"{path.parents[1].name}/{path.name}": path for path in sweep.glob("*/points/interpolated*")}


def times(sweep):
    return {path: path.stat().st_mtime_ns for path in sweep.rglob("*") if path.is_file()}


def test_a_line_of_points_joins_the_front(sweep, monkeypatch):
    answer = interpolate(
        sweep, "control", ["gini-1"], "amounts=[0.25,0.5,1.5]", "rerank.mmr.diversity=[0.5]", "rerank=mmr"
    )
    assert answer.code == 0, answer.text
    names = [f"gini-1/interpolated-control-a{amount}" for amount in ("0.25", "0.5", "1.5")]
    assert set(points(sweep)) == {*names, *(f"{name}-mmr-0.5" for name in names)}
    owner = record_of(sweep / "gini-1")
    for name, folder in points(sweep).items():
        record = record_of(folder)
        assert record["name"] == name
        assert record["kind"] == "trained"
        assert sum(record["interpolation"].values()) == pytest.approx(1)
        assert record["identity"] != owner["identity"]
        assert record["cost"]["fit_seconds"] == 0
        assert record["cost"]["evaluate_seconds"] > 0
        assert record["metrics"]["test"].keys() == owner["metrics"]["test"].keys()
        assert {path.name for path in folder.iterdir()} == {
            "record.json",
            "users.parquet",
            "slates.parquet",
            "groups.parquet",
        }
    assert record_of(points(sweep)[names[0]])["interpolation"] == {"control": 0.75, "gini-1": 0.25}
    assert record_of(points(sweep)[f"{names[0]}-mmr-0.5"])["rerank"] == {
        "name": "mmr",
        "diversity": 0.5,
        "relevance": "zscore",
        "pool": 100,
    }
    assert not read_sweep(sweep).broken
    monkeypatch.delenv("WANDB_MODE")
    assert command(front, f"dir={sweep}").code == 0
    table = pd.read_csv(sweep / "front.csv").set_index("name")
    assert set(table.loc[names, "series"]) == {"interpolation to gini-1"}
    content = json.loads((sweep / "front.json").read_text(encoding="utf-8"))
    assert content["series"]["interpolation to gini-1"]["strengths"] == [0.25, 0.5, 1.5]


def test_points_that_are_there_are_left_alone(sweep):
    assert interpolate(sweep, "control", ["gini-1"], "amounts=[0.5]").code == 0
    before = times(sweep)
    again = interpolate(sweep, "control", ["gini-1"], "amounts=[0.5]")
    assert again.code == 0
    assert "1 of 1 points were there before" in again.text
    assert times(sweep) == before
    assert interpolate(sweep, "control", ["gini-1"], "amounts=[0.5,0.75]").code == 0
    after = times(sweep)
    assert {path: after[path] for path in before} == before
    assert len(points(sweep)) == 2


def test_a_point_between_runs_that_are_gone_is_not_taken_for_one_between_others(sweep):
    assert interpolate(sweep, "control", ["gini-1"], "amounts=[0.5]").code == 0
    path = sweep / "gini-1" / "record.json"
    path.write_text(json.dumps(record_of(sweep / "gini-1") | {"identity": "other"}), encoding="utf-8")
    answer = interpolate(sweep, "control", ["gini-1"], "amounts=[0.5]")
    assert answer.code == 1
    assert "holds a point between other runs" in answer.text


def test_the_way_to_a_run_ends_at_that_run(sweep):
    """A hair before the end of the line, the lists are the sibling's; a hair after its start, the base's."""
    assert interpolate(sweep, "control", ["gini-1"], "amounts=[1e-9,0.999999999]").code == 0
    start, end = (sweep / "gini-1" / "points" / f"interpolated-control-a{name}" for name in ("1e-09", "0.999999999"))
    assert same_lists(start, sweep / "control")
    assert same_lists(end, sweep / "gini-1")


def same_lists(one, other):
    lists = [pd.read_parquet(folder / "slates.parquet").drop(columns="score") for folder in (one, other)]
    return lists[0].equals(lists[1])


def test_two_dials_span_a_plane_in_one_evaluation_of_the_data(sweep, monkeypatch):
    from divrec.run import mixing

    opened = []
    genuine = mixing.open_again
    monkeypatch.setattr(mixing, "open_again", lambda *given: opened.append(given) or genuine(*given))
    answer = interpolate(sweep, "control", ["gini-1", "simpson-1"], "amounts=[0,0.5,1]")
    assert answer.code == 0, answer.text
    assert len(opened) == 1
    assert set(points(sweep)) == {
        "gini-1/interpolated-control-a0.5",
        "simpson-1/interpolated-control-a0.5",
        *(f"gini-1/interpolated-control-a{one}+simpson-1-a{two}" for one, two in (("0.5", "0.5"), ("0.5", "1"))),
        *(f"gini-1/interpolated-control-a1+simpson-1-a{two}" for two in ("0.5", "1")),
    }
    both = record_of(points(sweep)["gini-1/interpolated-control-a1+simpson-1-a0.5"])
    assert both["interpolation"] == {"control": -0.5, "gini-1": 1.0, "simpson-1": 0.5}
    assert set(both["objective"]["diversity"]) == {"gini", "simpson"}
    assert not read_sweep(sweep).broken
    turned = interpolate(sweep, "control", ["simpson-1", "gini-1"], "amounts=[0,0.5,1]")
    assert "6 of 6 points were there before" in turned.text


def test_the_base_may_stand_at_zero_too(sweep):
    assert interpolate(sweep, "base", ["control", "gini-1"], "amounts=[[0.5,0],[0,0.5]]").code == 0
    assert set(points(sweep)) == {"control/interpolated-base-a0.5", "gini-1/interpolated-base-a0.5"}


def test_a_dial_is_turned_while_the_model_serves(sweep, tmp_path):
    dial = tmp_path / "dial"
    assert interpolate(sweep, "control", ["gini-1", "simpson-1"], "amounts=[[0.5,0.5]]", f"dial={dial}").code == 0
    said = json.loads((dial / "dial.json").read_text(encoding="utf-8"))
    assert said["dials"] == ["gini-1", "simpson-1"]
    assert said["origin"]["control"] == record_of(sweep / "control")["identity"]
    model = reopened(sweep / "control")
    turned = load_dial(dial, model)
    for amounts, name in (((1, 0), "gini-1"), ((0, 1), "simpson-1"), ((0, 0), "control")):
        turned.set(*amounts)
        stored = load_file(sweep / name / "model" / "model.safetensors")
        assert all(torch.equal(model.state_dict()[key], stored[key]) for key in stored)
    with pytest.raises(RecordError, match="another base"):
        load_dial(dial, reopened(sweep / "gini-1"))


def reopened(folder):
    record = record_of(folder)
    parts = open_again(OmegaConf.create(record["config"]), record["data"]["fingerprint"], folder)
    load_weights(parts.model, folder / "model")
    return parts.model


def test_the_lists_of_a_point_are_those_of_a_model_with_its_weights(tiny_shop, sweep, tmp_path):
    """The weights of a = 1 on one dial and 1 on the other, put together by hand and evaluated by a run of no length."""
    assert interpolate(sweep, "control", ["gini-1", "simpson-1"], "amounts=[[0.5,0.25]]").code == 0
    (folder,) = points(sweep).values()
    states = [load_file(sweep / name / "model" / "model.safetensors") for name in ("control", "gini-1", "simpson-1")]
    mixed = {
        name: (0.25 * states[0][name].double() + 0.5 * states[1][name] + 0.25 * states[2][name]).float()
        for name in states[0]
    }
    donor = sweep / "control"
    save_file(mixed, donor / "model" / "model.safetensors")
    shutil.rmtree(donor / "points")
    assert command(evaluate, f"run={donor}", "rerank=mmr", "rerank.mmr.diversity=[0]").code == 0
    one, other = (record_of(each)["metrics"]["test"] for each in (folder, donor / "points" / "mmr-0"))
    for name in ("ndcg@10", "coverage@10", "ilad@10"):
        assert one[name] == pytest.approx(other[name], abs=2e-3)


MISTAKES = [
    (["toward=x"], ["base:", "control"]),
    (["base=x"], ["toward:"]),
    (["base=/no/such", "toward=/no/such"], ["base:", "no finished run", "/no/such"]),
    (["base=CONTROL", "toward=POPULAR"], ["baseline", "popular"]),
    (["base=GINI", "toward=BASE"], ["gini-1 and base", "same weights", "init_from"]),
    (["base=CONTROL", "toward=GINI", "amounts=[much]"], ["amounts:", "much"]),
    (["base=CONTROL", "toward=GINI", "amounts=[0,1]"], ["amounts:", "no place between"]),
    (["base=CONTROL", "toward=GINI", "amounts=[[0.1,0.2]]"], ["amounts:", "1 numbers"]),
    (["base=CONTROL", "toward=GINI", "rerank=mmr", "rerank.mmr.diversity=7"], ["rerank.mmr.diversity:", "[0, 1]"]),
    (["base=CONTROL", "toward=GINI", "threads=0"], ["threads:", "at least 1"]),
    (["base=CONTROL", "toward={a:1}"], ["toward:", "list"]),
]


@pytest.mark.parametrize(("arguments", "words"), MISTAKES, ids=lambda each: " ".join(each)[:60])
def test_mistakes_leave_as_one_message(arguments, words, sweep):
    folders = {"CONTROL": "control", "GINI": "gini-1", "BASE": "base", "POPULAR": "popular"}
    typed = [
        f"{key}={sweep / folders[value] if value in folders else value}"
        for key, value in (argument.split("=", 1) for argument in arguments)
    ]
    answer = command(main, *typed)
    assert answer.code == 1
    assert "Traceback" not in answer.text
    for word in words:
        assert word in answer.text
    assert not points(sweep)


def test_models_of_another_width_are_refused(tiny_shop, sweep):
    folder = sweep / "narrow"
    assert tiny_shop.train(folder, "model.dim=16", "schedule.patience=null").code == 0
    path = folder / "record.json"
    record = record_of(folder)
    record["config"]["init_from"] = str(sweep / "base")
    path.write_text(json.dumps(record), encoding="utf-8")
    answer = interpolate(sweep, "control", ["narrow"])
    assert answer.code == 1
    assert "model.dim: 64 -> 16" in answer.text
