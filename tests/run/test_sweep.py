"""A sweep through the real command on a tiny shop: what lies on disk, starting again, failing points."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from divrec.analysis import read_sweep
from divrec.run.front import main as front
from run.command import command, subprocess_command
from run.tiny import SWEEP, record_of, same_files

RUNS = ["base", "random", "popular", "item_knn", "control", "simpson-0.3", "simpson-1", "gini-0.3", "gini-1"]
NO_BASELINES = ("hydra.sweeper.baselines=[]",)
FRONT = ("front.csv", "front.json", "front.png", "report.html")


def written(folder):
    return {path: path.stat().st_mtime_ns for name in ("record.json", "model.safetensors", "users.parquet")
            for path in folder.rglob(name)}  # fmt: skip


@pytest.fixture
def copy_of_sweep(tiny_sweep, tmp_path):
    folder = tmp_path / "tiny"
    shutil.copytree(tiny_sweep.folder, folder, ignore=shutil.ignore_patterns("wandb"), copy_function=shutil.copy2)
    return folder


@pytest.mark.slow
def test_a_sweep_leaves_every_record_and_its_front(tiny_sweep):
    assert tiny_sweep.answer.code == 0, tiny_sweep.answer.text
    expected = json.loads((tiny_sweep.folder / "sweep.json").read_text(encoding="utf-8"))["expected"]
    assert [point["name"] for point in expected] == RUNS
    sweep = read_sweep(tiny_sweep.folder)
    assert not sweep.missing
    assert not sweep.broken
    names = [record.name for record, _ in sweep.points]
    assert names == ["base", "random", "popular", "item_knn", "control", "control/mmr-0.5", *RUNS[5:]]
    kinds = {record.name: record.kind for record, _ in sweep.points}
    assert [kinds[name] for name in RUNS] == ["base", *3 * ["baseline"], "control", *4 * ["trained"]]
    for name in FRONT:
        assert (tiny_sweep.folder / name).stat().st_size > 100
    assert set(pd.read_csv(tiny_sweep.folder / "front.csv")["name"]) == set(names)


def test_control_and_points_start_from_the_base_and_have_one_length(tiny_sweep):
    records = {name: record_of(tiny_sweep.folder / name) for name in RUNS}
    for name in RUNS[4:]:
        assert records[name]["config"]["init_from"] == str(tiny_sweep.folder / "base")
        assert records[name]["cost"]["steps"] == 3
        assert records[name]["data"] == records["base"]["data"]
    assert records["base"]["config"]["init_from"] is None
    assert records["control"]["objective"]["beta"] == 0
    assert records["gini-0.3"]["objective"]["diversity"] == {"gini": 1.0}
    assert len({record["identity"] for record in records.values()}) == len(RUNS)


def test_the_terminal_ends_with_the_table_of_control_and_operating_point(tiny_sweep):
    text = tiny_sweep.answer.text
    assert "Wave 1 of 2: base, random, popular, item_knn" in text
    assert text.index("Wave 2 of 2") < text.index("operating point") < text.index("Report: ")
    assert "control" in text[text.index("operating point") :]
    assert text.rstrip().endswith("report.html")


def test_the_terminal_hears_nothing_of_the_fonts_in_a_picture(tiny_sweep):
    assert (tiny_sweep.folder / "front.pdf").stat().st_size > 100
    assert not [line for line in tiny_sweep.answer.text.splitlines() if "glyph" in line or "subset" in line]


def test_a_sweep_started_twice_trains_nothing_the_second_time(tiny_shop, tiny_sweep, copy_of_sweep):
    # The base's folder is part of the points' overrides, not of their identity: a sweep can be moved.
    before = written(copy_of_sweep)
    front_before = json.loads((copy_of_sweep / "front.json").read_text(encoding="utf-8"))
    answer = tiny_shop.sweep(copy_of_sweep)
    assert answer.code == 0, answer.text
    assert answer.text.count("finished before") == len(RUNS)
    assert "training up to" not in answer.text
    assert written(copy_of_sweep) == before
    assert json.loads((copy_of_sweep / "front.json").read_text(encoding="utf-8")) == front_before


def test_a_sweep_finishes_what_is_missing(tiny_shop, tiny_sweep, copy_of_sweep):
    shutil.rmtree(copy_of_sweep / "gini-1")
    answer = tiny_shop.sweep(copy_of_sweep)
    assert answer.code == 0, answer.text
    assert answer.text.count("training up to") == 1
    assert same_files(copy_of_sweep / "gini-1", tiny_sweep.folder / "gini-1")
    assert record_of(copy_of_sweep / "gini-1")["metrics"] == record_of(tiny_sweep.folder / "gini-1")["metrics"]


def test_a_wider_grid_keeps_the_points_that_are_there(tiny_shop, copy_of_sweep):
    before = written(copy_of_sweep / "gini-1")
    answer = tiny_shop.sweep(copy_of_sweep, "beta=1,2", "diversity=gini,simpson")
    assert answer.code == 0, answer.text
    assert answer.text.count("training up to") == 2
    assert written(copy_of_sweep / "gini-1") == before
    assert (copy_of_sweep / "gini-2" / "record.json").is_file()


@pytest.mark.slow
def test_grown_by_seeds_nothing_is_trained_twice(tiny_shop, copy_of_sweep):
    before = written(copy_of_sweep)
    answer = tiny_shop.sweep(copy_of_sweep, "seed=0,1", "diversity=gini", "beta=1", *NO_BASELINES)
    assert answer.code == 0, answer.text
    assert answer.text.count("training up to") == 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    names = {path.parent.name for path in copy_of_sweep.glob("*/record.json")}
    assert names - set(RUNS) == {"base-seed1", "control-seed1", "gini-1-seed1"}
    points = json.loads((copy_of_sweep / "front.json").read_text(encoding="utf-8"))["points"]
    assert set(points["gini-1"]["seeds"]) == {0, 1}


def test_the_front_rebuilt_from_disk_is_the_same(copy_of_sweep, monkeypatch):
    monkeypatch.delenv("WANDB_MODE")
    before = {name: (copy_of_sweep / name).read_bytes() for name in ("front.csv", "front.json")}
    for name in FRONT:
        (copy_of_sweep / name).unlink()
    answer = command(front, f"dir={copy_of_sweep}")
    assert answer.code == 0, answer.text
    assert {name: (copy_of_sweep / name).read_bytes() for name in before} == before
    assert (copy_of_sweep / "front.png").is_file()
    assert not (copy_of_sweep / "wandb").exists(), "a rebuild logs nothing unless asked"


def test_the_front_names_what_is_missing(copy_of_sweep):
    shutil.rmtree(copy_of_sweep / "gini-1")
    answer = command(front, f"dir={copy_of_sweep}")
    assert answer.code == 0
    assert "1 expected points have no record: gini-1" in answer.text
    assert json.loads((copy_of_sweep / "front.json").read_text(encoding="utf-8"))["missing"] == ["gini-1"]


@pytest.mark.slow
def test_a_failing_point_stops_no_other(tiny_shop, tmp_path):
    broken = tmp_path / "sweep" / "gini-2" / "record.json"
    broken.parent.mkdir(parents=True)
    broken.write_text("{half a record", encoding="utf-8")
    answer = tiny_shop.sweep(tmp_path / "sweep", "beta=1,2", "diversity=gini,simpson", "hydra.sweeper.baselines=[]")
    assert answer.code == 1
    assert "Traceback" not in answer.text
    assert answer.text.count("gini-2 failed: RecordError: ") == 1
    content = json.loads((tmp_path / "sweep" / "front.json").read_text(encoding="utf-8"))
    assert len(content["broken"]) == 1
    assert {"control", "gini-1", "simpson-1", "simpson-2"} <= set(content["points"])


def test_a_dial_that_makes_no_sense_is_told_before_anything_trains(tiny_shop, tmp_path):
    answer = tiny_shop.sweep(tmp_path / "sweep", "beta=-1,1", "diversity=gini,simpson", "hydra.sweeper.baselines=[]")
    assert answer.code == 1
    assert answer.text.count("beta: must be a number of at least 0; got -1") == 1
    assert "training up to" not in answer.text
    assert not (tmp_path / "sweep").exists()


@pytest.mark.slow
def test_seeds_and_two_regularizers_at_once_make_a_front(tiny_shop, tmp_path):
    grid = ("diversity=gini,[gini,beta_divergence]", "beta=0.5", "seed=0,1", "hydra.sweeper.baselines=[popular]")
    answer = tiny_shop.sweep(tmp_path / "sweep", *grid)
    assert answer.code == 0, answer.text
    both = record_of(tmp_path / "sweep" / "gini+beta_divergence-0.5-seed1")
    assert set(both["objective"]["diversity"]) == {"gini", "beta_divergence"}
    assert both["seed"] == 1
    content = json.loads((tmp_path / "sweep" / "front.json").read_text(encoding="utf-8"))
    assert set(content["points"]["gini-0.5"]["seeds"]) == {0, 1}


@pytest.mark.slow
def test_points_from_scratch_have_a_control_from_scratch(tiny_shop, tmp_path):
    grid = ("hydra.sweeper.from_base=false", *NO_BASELINES, "diversity=gini", "beta=1,2")
    answer = tiny_shop.sweep(tmp_path / "sweep", *grid)
    assert answer.code == 0, answer.text
    assert not (tmp_path / "sweep" / "base").exists()
    for name in ("control", "gini-1", "gini-2"):
        assert record_of(tmp_path / "sweep" / name)["config"]["init_from"] is None
    assert (tmp_path / "sweep" / "front.png").is_file()


@pytest.mark.slow
def test_two_runs_at_a_time_in_processes_of_their_own_give_the_same(tiny_shop, tiny_sweep, tmp_path):
    folder = tmp_path / "sweep"
    places = [f"encoder.model={tiny_shop.plm}", f"paths.outputs={tiny_shop.outputs}", f"hydra.sweep.dir={folder}"]
    grid = ["diversity=gini", "beta=1", "hydra.sweeper.baselines=[popular]", "hydra.launcher.n_jobs=2"]
    answer = subprocess_command("divrec.run.train", *SWEEP, *places, "logger=none", *grid)
    assert answer.code == 0, answer.text
    for name in ("base", "popular", "control", "gini-1"):
        assert same_files(folder / name, tiny_sweep.folder / name)


@pytest.mark.parametrize("grid", [("diversity=gini", "beta=1"), ("diversity=gini", "beta=0.5,1")])
def test_points_are_named_by_regularizer_and_beta_however_small_the_grid(grid, tiny_shop, tmp_path):
    answer = tiny_shop.sweep(tmp_path / "sweep", *NO_BASELINES, *grid)
    assert answer.code == 0, answer.text
    assert (tmp_path / "sweep" / "gini-1" / "record.json").is_file()
    assert not (tmp_path / "sweep" / "record.json").exists(), "a run in the sweep's own folder"


def test_beta_zero_in_the_grid(tiny_shop, tmp_path):
    answer = tiny_shop.sweep(tmp_path / "sweep", *NO_BASELINES, "diversity=gini,simpson", "beta=0,1")
    assert "Traceback" not in answer.text
    assert answer.code == 0, answer.text[-3000:]


def test_a_typo_in_the_grid_is_told_before_anything_trains(tiny_shop, tmp_path):
    answer = tiny_shop.sweep(tmp_path / "sweep", "diversity=nonsense,gini", "beta=1,2")
    assert answer.code != 0
    assert "diversity/nonsense" in answer.text
    assert "training up to" not in answer.text


def test_a_models_key_does_not_stop_the_baselines(tiny_shop, tmp_path):
    answer = tiny_shop.sweep(
        tmp_path / "sweep", "model.dim=16", "diversity=gini", "beta=1", "hydra.sweeper.baselines=[popular]"
    )
    assert answer.code == 0, answer.text[-1500:]
