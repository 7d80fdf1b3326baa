"""What trackers hold of a tiny run and of a tiny sweep."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
import wandb

import divrec
from divrec.errors import ConfigError
from divrec.tracking.facts import Lineage
from divrec.tracking.weights_and_biases import WeightsAndBiases, log_front
from run.tiny import record_of
from tracking.offline_runs import read_runs

RUNS = ["base", "random", "popular", "item_knn", "control", "simpson-0.3", "simpson-1", "gini-0.3", "gini-1"]
TRAINED = ["base", "control", "simpson-0.3", "simpson-1", "gini-0.3", "gini-1"]
POINT = ("beta=1", "diversity=[gini,simpson]", "trainer.log_every_n_steps=1")
TERMS = {f"loss/{part}/{name}" for part in ("diversity", "scaled", "weighted") for name in ("gini", "simpson")}
STEP_NAMES = {"loss/task", "loss/total", "gradient/outside_top_k", *TERMS}
METRICS = ["recall", "ndcg", "mrr", "entropy", "simpson", "ilad", "ilmd", "coverage", "gini", "popularity", "overlap"]
FINAL_NAMES = {f"{split}/{name}@10" for split in ("validation", "test") for name in METRICS} | {
    "validation/auc",
    "test/auc",
}
RATIOS = {"ratio/gini", "ratio/simpson"}
COSTS = {f"cost/{name}" for name in ("fit_seconds", "evaluate_seconds", "steps", "peak_memory_mb")}


@pytest.fixture(scope="session")
def logged_sweep(tiny_sweep):
    return {run.name: run for run in read_runs(tiny_sweep.folder)}


def test_a_sweep_of_n_runs_gives_n_plus_one(tiny_sweep, logged_sweep):
    assert len(read_runs(tiny_sweep.folder)) == len(RUNS) + 1
    assert set(logged_sweep) == {*RUNS, "tiny-front"}


def test_all_stand_together_under_the_sweeps_name(logged_sweep, tiny_sweep):
    assert {run.group for run in logged_sweep.values()} == {"tiny"}
    assert {run.exit_code for run in logged_sweep.values()} == {0}
    for name in RUNS:
        assert logged_sweep[name].job_type == record_of(tiny_sweep.folder / name)["kind"]
    assert logged_sweep["tiny-front"].job_type == "front"


def test_a_run_carries_its_config(logged_sweep, tiny_sweep):
    for name in RUNS:
        config, record = logged_sweep[name].config, record_of(tiny_sweep.folder / name)
        assert config["beta"] == record["config"]["beta"]
        assert config["seed"] == 0
        assert config["schedule"]["steps"] == record["config"]["schedule"]["steps"]
    assert list(logged_sweep["gini-1"].config["diversity"]) == ["gini"]


def test_a_trained_run_carries_its_terms_step_by_step(logged_sweep):
    for name in TRAINED:
        rows = [row for row in logged_sweep[name].rows if "loss/total" in row]
        assert len(rows) >= 3, name
        assert all("loss/task" in row for row in rows)
        terms = {key for key in rows[0] if key.startswith("loss/diversity/")}
        assert terms == ({f"loss/diversity/{name.split('-')[0]}"} if "-" in name else set())


def test_the_summary_holds_what_the_record_holds(logged_sweep, tiny_sweep):
    for name in RUNS:
        record, summary = record_of(tiny_sweep.folder / name), logged_sweep[name].summary
        flat = {f"{split}/{key}": value for split, values in record["metrics"].items() for key, value in values.items()}
        assert set(flat) >= FINAL_NAMES
        flat |= {f"cost/{key}": value for key, value in record["cost"].items()}
        assert set(flat) >= COSTS
        assert {key: summary[key] for key in flat} == pytest.approx(flat)


def test_tags_say_what_a_run_is(logged_sweep):
    assert logged_sweep["gini-1"].tags == {"trained", "Synthetic", "TwoTower", "CrossEntropy", "gini", "seed-0"}
    assert logged_sweep["control"].tags == {"control", "Synthetic", "TwoTower", "CrossEntropy", "seed-0"}
    assert logged_sweep["popular"].tags == {"baseline", "Synthetic", "Popular"}
    assert logged_sweep["tiny-front"].tags == {"front"}


def test_what_is_validated_is_drawn_over_epochs_and_accuracy_over_diversity(logged_sweep):
    for name in RUNS:
        axes = logged_sweep[name].axes
        assert "epoch" in axes
        assert axes["validation/*"] == "epoch"
        assert axes["validation/ndcg@10"] == "validation/gini@10"
        assert axes["*"] == "trainer/global_step"
    rows = [row for row in logged_sweep["base"].rows if "validation/ndcg@10" in row and "epoch" in row]
    assert rows
    assert all({"validation/gini@10", "trainer/global_step"} <= row.keys() for row in rows)


def test_each_run_keeps_its_weights_as_an_artifact_where_they_are(logged_sweep, tiny_sweep):
    for name in RUNS:
        record = record_of(tiny_sweep.folder / name)
        ((key, artifact),) = logged_sweep[name].artifacts.items()
        assert key == ("model", f"tiny-{name}")
        assert record["identity"] in artifact["aliases"]
        assert artifact["metadata"]["identity"] == record["identity"]
        assert artifact["metadata"]["data"] == record["data"]["fingerprint"]
        weights = tiny_sweep.folder / name / "model" / "model.safetensors"
        assert artifact["files"] == {"model.safetensors": weights}, "no copy"


def test_each_run_knows_the_dataset_it_read(logged_sweep, tiny_sweep):
    for name in RUNS:
        data = record_of(tiny_sweep.folder / name)["data"]
        lineage = Lineage.read(logged_sweep[name].folder / "lineage.json")
        assert lineage.project == "divrec"
        assert logged_sweep[name].folder.name.endswith(lineage.run)
        (dataset,) = lineage.inputs
        assert (dataset.type, dataset.name) == ("dataset", f"{data['name']}-{data['fingerprint']}")
        assert dataset.metadata == data
        assert [Path(file).name for file in dataset.files] == ["manifest.json"], "the log itself stays at home"
        assert Path(dataset.files[0]).is_file()


def test_the_fronts_run_holds_table_plots_picture_report_and_headline(logged_sweep, tiny_sweep):
    front = logged_sweep["tiny-front"]
    written = json.loads((tiny_sweep.folder / "front.json").read_text(encoding="utf-8"))
    assert front.config["sweep"] == "tiny"
    rows = pd.read_csv(tiny_sweep.folder / "front.csv")
    assert front.summary["front/table/nrows"] == len(rows)
    assert {"front/picture/filenames", "front/report/path", "front/gini@10_table/path"} <= front.keys
    plots = {f"front/{measure['metric']}_table/path" for measure in written["measures"].values()}
    assert plots <= front.keys
    files = front.artifacts["front", "tiny-front"]["files"]
    assert {"front.csv", "front.json", "front.png", "report.html"} <= files.keys()
    assert front.summary["front/headline"] == written["headline"]


def test_csv_and_tensorboard_hold_the_same_names_as_wandb(tiny_shop, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "run"
    answer = tiny_shop.train(folder, *POINT, logger="[wandb,csv,tensorboard]")
    assert answer.code == 0, answer.text
    metrics = record_of(folder)["metrics"]
    final = {f"{split}/{name}" for split, values in metrics.items() for name in values}
    wanted = STEP_NAMES | final | RATIOS | COSTS
    own = {"epoch", "step", "hp_metric", "trainer/global_step", "_step", "_runtime", "_timestamp", "_wandb/runtime"}
    assert set(pd.read_csv(folder / "csv" / "metrics.csv").columns) - own == wanted
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert set(events.Tags()["scalars"]) - own == wanted
    (run,) = read_runs(folder)
    assert run.keys - own == wanted
    assert run.name == "run"


def test_no_artifacts_where_none_are_wanted(tiny_shop, tmp_path):
    tags = ("logger.wandb.artifacts=false", "logger.wandb.tags=[paper]")
    assert tiny_shop.train(tmp_path / "run", *POINT, *tags, logger="wandb").code == 0
    (run,) = read_runs(tmp_path / "run")
    assert not run.artifacts
    assert not (run.folder / "lineage.json").exists()
    assert {"paper", "gini", "simpson", "trained"} <= run.tags


def test_a_front_that_cannot_be_logged_is_a_warning(tiny_sweep, tmp_path, monkeypatch, caplog):
    for name in ("front.csv", "front.json"):
        (tmp_path / name).write_bytes((tiny_sweep.folder / name).read_bytes())

    def offline(**_):
        raise wandb.errors.CommError("no route to host")

    monkeypatch.setattr(wandb, "init", offline)
    log_front(tmp_path, "p")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no route to host" in caplog.text


def test_no_logger_leaves_nothing(tiny_shop, tmp_path):
    folder = tmp_path / "run"
    assert tiny_shop.train(folder, *POINT, logger="none").code == 0
    left = {path.name for path in folder.iterdir()}
    point = {"record.json", "slates.parquet", "users.parquet", "groups.parquet"}
    assert left == {".hydra", ".lock", "model", "run.log", "curve.csv", *point}
    assert not list(tmp_path.rglob("*wandb*"))


def test_tracking_decides_no_number(tiny_shop, tmp_path):
    metrics = []
    for logger in ("none", "wandb"):
        tiny_shop.train(tmp_path / logger, *POINT, logger=logger)
        metrics.append(record_of(tmp_path / logger)["metrics"])
    assert metrics[0] == metrics[1]


def test_a_failed_run_is_marked_failed(tiny_shop, tmp_path, monkeypatch):
    def broken(*_):
        raise ConfigError("broken on purpose", where="here")

    monkeypatch.setattr("divrec.run.job.evaluate_splits", broken)
    answer = tiny_shop.train(tmp_path / "run", logger="wandb")
    assert answer.code != 0
    (run,) = read_runs(tmp_path / "run")
    assert run.exit_code == 1
    monkeypatch.undo()
    assert tiny_shop.train(tmp_path / "run", logger="wandb").code == 0
    again = read_runs(tmp_path / "run")
    assert len({each.id for each in again}) == 1, "started again it is the same run"
    assert again[-1].exit_code == 0
    assert tiny_shop.train(tmp_path / "next", logger="wandb").code == 0, "the next run is one of its own"
    (following,) = read_runs(tmp_path / "next")
    assert following.exit_code == 0
    assert following.name == "next"


def test_starts_within_one_second_are_one_run(tiny_shop, tmp_path):
    """W&B counts folders of one second and one id (`...-ID-1`): that counter is not the id."""
    for name in ("offline-run-20260101_000000-abc123", "offline-run-20260101_000000-abc123-1"):
        (tmp_path / "run" / "wandb" / name).mkdir(parents=True)
        (tmp_path / "run" / "wandb" / name / "run-abc123.wandb").write_bytes(b":W&B\xad\xbe\x00")
    assert tiny_shop.train(tmp_path / "run", logger="wandb").code == 0
    assert {each.id for each in read_runs(tmp_path / "run") if each.config} == {"abc123"}


def test_disabled_writes_nothing(tiny_shop, tmp_path):
    assert tiny_shop.train(tmp_path / "run", "logger.wandb.mode=disabled", logger="wandb").code == 0
    assert read_runs(tmp_path / "run") == []


@pytest.mark.parametrize("mode", ["", "loud", "Offline"])
def test_an_unknown_mode_is_refused_at_the_door(mode, tmp_path):
    with pytest.raises(ConfigError, match="WANDB_MODE"):
        WeightsAndBiases("p", None, "n", str(tmp_path), mode)
    for name in ("front.csv", "front.json"):
        (tmp_path / name).write_text("{}" if name.endswith("json") else "a\n1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="WANDB_MODE"):
        log_front(tmp_path, "p", mode)


def test_wandb_is_imported_in_one_file():
    sources = Path(divrec.__file__).parent.rglob("*.py")
    importing = [
        path.name for path in sources if re.search(r"^\s*(import|from) wandb\b", path.read_text(encoding="utf-8"), re.M)
    ]
    assert importing == ["weights_and_biases.py"]


def test_a_second_start_adds_no_second_front_run(tiny_shop, tmp_path):
    for _ in range(2):
        tiny_shop.sweep(
            tmp_path / "sweep", "hydra.sweeper.baselines=[]", "diversity=gini,simpson", "beta=1,2", logger="wandb"
        )
    assert len([run for run in read_runs(tmp_path / "sweep") if run.job_type == "front"]) == 1
