"""One run through the real command: its folder, resuming, repeating, starting from another's weights."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from divrec.analysis import read_record
from divrec.models import TextEncoder
from divrec.run.evaluate import main as evaluate
from divrec.storage import held
from run.command import command
from run.tiny import record_of, same_files, without_times

POINT = ("beta=1", "diversity=[simpson,gini]", "schedule.validate_every=null", "schedule.patience=null")


@pytest.fixture
def point(tiny_shop, tmp_path):
    folder = tmp_path / "point"
    assert tiny_shop.train(folder, *POINT).code == 0
    return folder


def changes(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != "run.log"}


def test_a_run_leaves_its_record_values_lists_weights_and_config(point):
    assert {path.name for path in point.iterdir()} == {
        ".hydra",
        ".lock",
        "record.json",
        "users.parquet",
        "slates.parquet",
        "groups.parquet",
        "curve.csv",
        "model",
        "run.log",
    }
    record = read_record(point)
    assert (record.kind, record.name, record.seed) == ("trained", "point", 0)
    assert record.objective["diversity"] == {"simpson": 1.0, "gini": 1.0}
    assert set(record.objective["ratio"]) == {"simpson", "gini"}
    assert all(ratio > 0 for ratio in record.objective["ratio"].values())
    assert record.cost["steps"] == 4
    assert record.cost["peak_memory_mb"] > 0
    assert 0 < record.model["trainable"] <= record.model["parameters"]
    assert record.config["beta"] == 1
    assert "hydra" not in record.config
    for split in ("validation", "test"):
        users = pd.read_parquet(point / "users.parquet").query("split == @split")
        assert record.metrics[split]["ndcg@10"] == pytest.approx(users["ndcg@10"].mean(), abs=1e-6)
        slates = pd.read_parquet(point / "slates.parquet").query("split == @split")
        assert set(slates.user_id) == set(users.user_id)
        assert (slates.groupby("user_id")["rank"].max() == 10).all()
        shown = slates.item_id.nunique() / record.data["items"]
        assert record.metrics[split]["coverage@10"] == pytest.approx(shown, abs=1e-6)


def test_a_finished_run_is_not_trained_again(point, tiny_shop):
    before = changes(point)
    answer = tiny_shop.train(point, *POINT)
    assert answer.code == 0
    assert "finished before" in answer.text
    assert "training up to" not in answer.text
    assert {path: time for path, time in changes(point).items() if ".hydra" not in path.parts} == {
        path: time for path, time in before.items() if ".hydra" not in path.parts
    }


def test_a_folder_that_another_process_trains_into_is_refused_and_left_as_it_is(tiny_shop, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with held(folder / ".lock", AssertionError("free before")):
        answer = tiny_shop.train(folder)
        assert answer.code == 1
        assert f"RecordError: {folder}: another process is training this run" in answer.text
        assert "scancel" in answer.text
        assert not [path for path in folder.iterdir() if path.name not in (".hydra", ".lock", "run.log")]
    assert tiny_shop.train(folder).code == 0, "free again"


def test_scores_in_chunks_lead_to_the_same_point(point, tiny_shop, tmp_path):
    assert tiny_shop.train(tmp_path / "chunks", *POINT, "task.chunk=13").code == 0
    one, other = record_of(point), record_of(tmp_path / "chunks")
    assert other["config"]["task"]["chunk"] == 13
    assert other["identity"] == one["identity"]
    assert other["objective"]["ratio"] == pytest.approx(one["objective"]["ratio"], rel=1e-4)
    for split in ("validation", "test"):
        assert other["metrics"][split] == pytest.approx(one["metrics"][split], abs=1e-3, nan_ok=True)


def test_a_finished_run_is_not_trained_again_for_what_decides_no_number(point, tiny_shop):
    answer = tiny_shop.train(point, *POINT, "trainer.log_every_n_steps=1", "name=other", logger="csv")
    assert "finished before" in answer.text
    assert not (point / "csv").exists()


def test_two_runs_of_one_point_are_equal_but_for_times(point, tiny_shop, tmp_path):
    again = tmp_path / "again"
    tiny_shop.train(again, *POINT)
    one, other = record_of(point), record_of(again)
    assert without_times(one) == without_times(other)
    assert same_files(point, again)
    weights = [load_file(folder / "model" / "model.safetensors") for folder in (point, again)]
    assert weights[0].keys() == weights[1].keys()
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def test_another_seed_gives_another_run(point, tiny_shop, tmp_path):
    other = tmp_path / "other"
    tiny_shop.train(other, *POINT, "seed=1")
    assert record_of(other)["identity"] != record_of(point)["identity"]
    assert not same_files(point, other)


def test_beta_zero_with_and_without_a_regularizer_delivers_the_same(tiny_shop, tmp_path):
    plain, with_regularizer = tmp_path / "plain", tmp_path / "with"
    tiny_shop.train(plain)
    tiny_shop.train(with_regularizer, "diversity=[simpson,gini,beta_divergence,gini_overlap]")
    assert same_files(plain, with_regularizer)
    assert record_of(plain)["metrics"] == record_of(with_regularizer)["metrics"]


def test_a_language_model_counts_by_its_content_wherever_it_lies(tiny_shop, tmp_path):
    plm, run = shutil.copytree(tiny_shop.plm, tmp_path / "plm"), tmp_path / "run"
    assert tiny_shop.train(run).code == 0
    assert "finished before" in tiny_shop.train(run, f"encoder.model={plm}").text, "where it lies decides no number"
    assert tiny_shop.train(tmp_path / "own", f"encoder.model={plm}").code == 0
    weights = {name: 1.1 * tensor for name, tensor in load_file(plm / "model.safetensors").items()}
    save_file(weights, plm / "model.safetensors", metadata={"format": "pt"})
    again = tiny_shop.train(tmp_path / "own", f"encoder.model={plm}")
    assert again.code == 1
    assert "its data, language model, base or code version differ" in again.text
    for answer in (
        tiny_shop.train(tmp_path / "next", f"encoder.model={plm}", f"init_from={run}"),
        command(evaluate, f"run={tmp_path / 'own'}", "rerank=mmr"),
    ):
        assert answer.code == 1
        assert "another language model" in answer.text


def test_trained_weights_of_the_language_model_are_counted_apart(tiny_shop, tmp_path):
    assert tiny_shop.train(tmp_path / "frozen").code == 0
    assert tiny_shop.train(tmp_path / "lora", "tuning=lora", "tuning.rank=2").code == 0
    frozen, lora = record_of(tmp_path / "frozen")["model"], record_of(tmp_path / "lora")["model"]
    added = 2 * (16 + 16) * 2 * 2  # rank x (in + out), for query and value of two layers
    assert (frozen["trainable_plm"], lora["trainable_plm"]) == (0, added)
    assert lora["trainable"] == frozen["trainable"] + added


def test_a_run_starts_from_the_weights_of_another(point, tiny_shop, tmp_path):
    still = tmp_path / "still"
    answer = tiny_shop.train(still, f"init_from={point}", "schedule.learning_rate=1e-12")
    assert answer.code == 0
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (point, still))
    assert all(np.allclose(one[name], other[name], atol=1e-6) for name in one)
    assert record_of(still)["identity"] != record_of(point)["identity"]


@pytest.mark.parametrize(
    ("overrides", "kind"),
    [
        ((), "base"),
        (("schedule.patience=null",), "control"),
        (("schedule.patience=null", "diversity=simpson"), "control"),
        (("beta=1", "diversity=simpson", "schedule.patience=null"), "trained"),
        (("model=popular",), "baseline"),
    ],
)
def test_the_kind_of_a_run_follows_from_its_config(overrides, kind, tiny_shop, tmp_path):
    assert tiny_shop.train(tmp_path / "run", *overrides).code == 0
    record = record_of(tmp_path / "run")
    assert record["kind"] == kind
    assert record["config"]["kind"] == kind


def test_a_baseline_has_neither_language_model_nor_objective(tiny_shop, tmp_path):
    tiny_shop.train(tmp_path / "knn", "model=item_knn")
    record = record_of(tmp_path / "knn")
    identity = TextEncoder(str(tiny_shop.plm)).source.identity()  # it measures the lists
    nothing = {"parameters": 0, "trainable": 0, "trainable_plm": 0}
    assert record["model"] == {"encoder": "", "encoder_identity": identity} | nothing
    assert record["objective"] == {}
    assert record["cost"]["steps"] == 0


def test_rerankers_add_points_without_weights(tiny_shop, tmp_path):
    folder = tmp_path / "run"
    tiny_shop.train(folder, "rerank=mmr", "rerank.mmr.diversity=[0.3,0.7]")
    names = sorted(path.name for path in (folder / "points").iterdir())
    assert names == ["mmr-0.3", "mmr-0.7"]
    for name, strength in zip(names, (0.3, 0.7), strict=True):
        derived = read_record(folder / "points" / name)
        assert derived.name == f"run/{name}"
        assert derived.rerank == {"name": "mmr", "diversity": strength, "relevance": "zscore", "pool": 100}
        assert not list((folder / "points" / name).rglob("*.safetensors"))
    own, strong = read_record(folder), read_record(folder / "points" / "mmr-0.7")
    assert strong.metrics["test"]["ilad@10"] > own.metrics["test"]["ilad@10"]


def test_re_ranking_later_gives_what_re_ranking_at_once_gave(tiny_shop, tmp_path):
    at_once, later = tmp_path / "at_once", tmp_path / "later"
    tiny_shop.train(at_once, "rerank=mmr", "rerank.mmr.diversity=[0.5]")
    tiny_shop.train(later)
    answer = command(evaluate, f"run={later}", "rerank.mmr.diversity=[0.5]")
    assert answer.code == 0
    assert "added mmr-0.5" in answer.text
    assert same_files(at_once / "points" / "mmr-0.5", later / "points" / "mmr-0.5")
    before = changes(later / "points")
    assert command(evaluate, f"run={later}", "rerank.mmr.diversity=[0.5]").code == 0
    assert changes(later / "points") == before


def test_other_parameters_are_other_points_and_what_is_there_is_said(tiny_shop, tmp_path):
    folder = tmp_path / "run"
    tiny_shop.train(folder, "rerank=mmr", "rerank.mmr.diversity=[0.5]")
    again = command(evaluate, f"run={folder}", "rerank.mmr.diversity=[0.5,0.7]")
    assert "already there: mmr-0.5" in again.text
    assert "added mmr-0.7" in again.text
    answer = command(evaluate, f"run={folder}", "rerank.mmr.diversity=[0.5]", "rerank.mmr.pool=30")
    assert "added mmr_pool30-0.5" in answer.text
    record = read_record(folder / "points" / "mmr_pool30-0.5")
    assert record.name == "run/mmr_pool30-0.5"
    assert record.rerank == {"name": "mmr_pool30", "diversity": 0.5, "relevance": "zscore", "pool": 30}
    assert set(record.code) == {"version", "commit"}
    assert not same_files(folder / "points" / "mmr-0.5", folder / "points" / "mmr_pool30-0.5")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            {"rerank": {"name": "mmr", "diversity": 0.5, "relevance": "zscore", "pool": 7}},
            ["pool: 7 -> 100", "keep both"],
        ),
        ({"rerank": {"name": "mmr", "diversity": 0.5000001}}, ["diversity: 0.5000001 -> 0.5"]),
        ({"identity": "of another"}, ["another training", "delete this folder"]),
    ],
)
def test_a_point_of_other_parameters_is_refused_and_left_alone(edit, words, tiny_shop, tmp_path):
    folder = tmp_path / "run"
    tiny_shop.train(folder, "rerank=mmr", "rerank.mmr.diversity=[0.5]")
    file = folder / "points" / "mmr-0.5" / "record.json"
    file.write_text(json.dumps(record_of(file.parent) | edit), encoding="utf-8")
    before = changes(folder / "points")
    answer = command(evaluate, f"run={folder}", "rerank.mmr.diversity=[0.5]")
    assert answer.code == 1
    for word in ("points/mmr-0.5", *words):
        assert word in answer.text
    assert changes(folder / "points") == before


def test_a_point_of_an_earlier_version_is_accepted(tiny_shop, tmp_path):
    folder = tmp_path / "run"
    tiny_shop.train(folder, "rerank=mmr", "rerank.mmr.diversity=[0.5]")
    file = folder / "points" / "mmr-0.5" / "record.json"
    old = {key: value for key, value in record_of(file.parent).items() if key not in ("undefined", "empty_histories")}
    file.write_text(json.dumps(old | {"rerank": {"name": "mmr", "diversity": 0.5}}), encoding="utf-8")
    answer = command(evaluate, f"run={folder}", "rerank.mmr.diversity=[0.5]")
    assert answer.code == 0
    assert "already there: mmr-0.5" in answer.text


def test_records_count_users_without_a_value_and_without_a_history(tiny_shop, tmp_path):
    folder = tmp_path / "run"
    tiny_shop.train(folder, "rerank=mmr", "rerank.mmr.diversity=[0.5]")
    for place in (folder, folder / "points" / "mmr-0.5"):
        record = read_record(place)
        assert set(record.undefined) == set(record.empty_histories) == {"validation", "test"}
        for split in record.undefined:
            users = pd.read_parquet(place / "users.parquet").query("split == @split")
            missing = users.drop(columns=["split", "user_id"]).isna().sum()
            assert record.undefined[split] == missing[missing > 0].to_dict()


def test_lists_longer_than_k_are_delivered_where_they_are_measured(tiny_shop, tmp_path):
    short, long = tmp_path / "short", tmp_path / "long"
    rerank = "rerank=mmr", "rerank.mmr.diversity=[0.5]"
    assert tiny_shop.train(short, *POINT, *rerank).code == 0
    assert tiny_shop.train(long, *POINT, *rerank, "metrics.k=[5,10,20]").code == 0
    for name in ("", "points/mmr-0.5"):
        one, other = read_record(short / name), read_record(long / name)
        for split in ("validation", "test"):
            assert {f"{metric}@{k}" for metric in ("ndcg", "gini") for k in (5, 10, 20)} <= other.metrics[split].keys()
            shared = {metric: other.metrics[split][metric] for metric in one.metrics[split]}
            assert shared == pytest.approx(one.metrics[split], nan_ok=True), "k decides what is trained and compared"
        slates = pd.read_parquet(long / name / "slates.parquet")
        assert (slates.groupby(["split", "user_id"])["rank"].max() == 20).all()
        first = slates[slates["rank"] <= 10].reset_index(drop=True)
        assert first.equals(pd.read_parquet(short / name / "slates.parquet"))
    assert command(evaluate, f"run={long}", "rerank=dpp", "rerank.dpp.diversity=[0.5]").code == 0
    assert "recall@20" in read_record(long / "points" / "dpp-0.5").metrics["test"]


def test_a_run_that_breaks_off_leaves_no_record(tiny_shop, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("divrec.run.job.write_point", broken)
    answer = tiny_shop.train(tmp_path / "run")
    assert answer.code != 0
    assert not (tmp_path / "run" / "record.json").exists()
    monkeypatch.undo()
    assert tiny_shop.train(tmp_path / "run").code == 0, "starting again finishes it"
    assert (tmp_path / "run" / "record.json").exists()
