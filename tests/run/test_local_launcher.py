"""Sweeps in processes of their own: devices, failures of every kind, killed runs and killed drivers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from divrec.run.door import UserMistake
from run.command import ROOT
from run.planned import Recorder
from run.tiny import SWEEP, record_of, same_files

LOCAL = ("hydra/launcher=local", "hydra.launcher.n_jobs=2", "hydra.sweeper.baselines=[]")
FAILURES = {
    "crashing-1": "RuntimeError: a bug in the middle of a training",
    "refused-1": "ConfigError: diversity.*.weight: must be a number of at least 0; got -1.0",
    "out_of_memory-1": "alloc",
    "killed-1": "its process was ended by SIGKILL (out of memory?)",
}


def finished(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.glob("*/record.json")}


@pytest.mark.slow
def test_a_failure_of_any_kind_stops_no_other_and_is_told_with_its_last_lines(tiny_shop, tiny_sweep, tmp_path):
    folder = tmp_path / "sweep"
    grid = ("diversity=crashing,refused,out_of_memory,killed,gini", "beta=1")
    answer = tiny_shop.sweep(folder, *LOCAL, *grid)
    assert answer.code == 1
    assert finished(folder) == {"base", "control", "gini-1"}
    assert same_files(folder / "gini-1", tiny_sweep.folder / "gini-1")
    for name, reason in FAILURES.items():
        line = next(line for line in answer.text.splitlines() if f"{name} failed: " in line)
        assert reason in line
    assert 'raise RuntimeError("a bug in the middle of a training")' in answer.text, "the last lines"
    assert "| " in answer.text[answer.text.index("killed-1 failed") :], "what it said before it was killed"
    content = json.loads((folder / "front.json").read_text(encoding="utf-8"))
    assert set(content["missing"]) == set(FAILURES)
    again = tiny_shop.sweep(folder, *LOCAL, "diversity=gini,killed", "beta=1")
    assert again.code == 1, "a failed run is tried again"
    assert "gini-1 done" in again.text
    assert "killed-1 failed" in again.text
    assert set(json.loads((folder / "front.json").read_text(encoding="utf-8"))["missing"]) == set(FAILURES)


@pytest.mark.slow
def test_points_of_a_base_that_failed_are_left_out(tiny_shop, tmp_path):
    base = ("+hydra.sweeper.base.monitor=nonsense",)
    answer = tiny_shop.sweep(tmp_path / "sweep", *LOCAL, *base, "diversity=gini", "beta=1")
    assert answer.code == 1
    assert "base failed: ConfigError: monitor: no such validation value" in answer.text
    assert "gini-1 is left out: its base base failed" in answer.text
    assert not finished(tmp_path / "sweep")


@pytest.mark.slow
def test_each_run_sees_one_device_and_no_two_share_it_at_a_time(tiny_shop, tmp_path):
    folder = tmp_path / "sweep"
    devices = ("hydra.launcher.devices=[5,7]", "hydra.launcher.n_jobs=-1")
    answer = tiny_shop.sweep(folder, *LOCAL, *devices, "trainer.accelerator=auto", "diversity=telling", "beta=1,2,3,4")
    assert answer.code == 0, answer.text
    spans: dict[str, list[tuple[int, int]]] = {"5": [], "7": []}
    for number in (1, 2, 3, 4):
        run = folder / f"telling-{number}"
        (seen,) = set(re.findall(r"sees device (\S+)", (run / "run.log").read_text(encoding="utf-8")))
        begin = (run / ".hydra" / "config.yaml").stat().st_mtime_ns
        spans[seen].append((begin, (run / "record.json").stat().st_mtime_ns))
    assert all(spans.values()), "both devices were used"
    for taken in map(sorted, spans.values()):
        assert all(end <= begin for (_, end), (begin, _) in zip(taken, taken[1:], strict=False))


@pytest.mark.slow
def test_a_run_as_a_command_of_its_own_gives_the_same(tiny_shop, tiny_sweep, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("LOCAL_RANK", "1")  # as under torchrun: not for the runs of a sweep
    monkeypatch.setenv("WORLD_SIZE", "2")
    folder = tmp_path / "sweep"
    command = ("hydra/launcher=processes", *LOCAL[1:])
    answer = tiny_shop.sweep(folder, *command, "diversity=gini", "beta=1", "hydra.sweeper.from_base=false")
    assert answer.code == 0, answer.text
    record = record_of(folder / "gini-1")
    assert record["objective"]["task"] == "cross_entropy"
    assert record["config"]["group"] == "sweep"
    assert record["config"]["init_from"] is None


@pytest.mark.parametrize("launcher", ["local", "slurm", "joblib", "in_process"])
@pytest.mark.parametrize("devices", ["trainer.devices=2", "trainer.devices=1,2"])
def test_several_devices_where_runs_are_no_programs_are_refused_before_anything_starts(
    launcher, devices, tiny_shop, tmp_path
):
    answer = tiny_shop.sweep(tmp_path / "sweep", f"hydra/launcher={launcher}", devices, "diversity=gini", "beta=1")
    assert answer.code == 1
    assert "hydra/launcher=processes" in answer.text
    assert "srun python -m divrec.run.train hydra.run.dir=FOLDER" in answer.text
    assert "Traceback" not in answer.text
    assert not (tmp_path / "sweep" / "sweep.json").exists()


def test_runs_that_are_programs_may_have_several_devices(plan, monkeypatch):
    monkeypatch.undo()  # a plan composes no jobs otherwise
    monkeypatch.setattr("divrec.run.front.build", lambda folder, wandb=None, options=None: None)
    programs = Recorder()
    programs.as_command = True
    assert plan("diversity=gini", "beta=1", "trainer.devices=2", launcher=programs).names
    with pytest.raises(UserMistake, match=r"trainer\.devices: .*one device"):
        plan("diversity=gini", "beta=1", "trainer.devices=2", folder="other")


def _hears_ctrl_c() -> None:
    """What runs in the background of a shell inherits that Ctrl-C is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_driver_leaves_no_run_behind_and_loses_nothing(how, tiny_shop, tiny_sweep, tmp_path):
    folder = tmp_path / "sweep"
    places = [f"encoder.model={tiny_shop.plm}", f"paths.outputs={tiny_shop.outputs}", f"hydra.sweep.dir={folder}"]
    grid = [*LOCAL, "diversity=gini,simpson", "beta=0.3,1"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "divrec.run.train", *SWEEP, *places, "logger=none", *grid],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True,
        preexec_fn=_hears_ctrl_c,
    )  # fmt: skip
    assert any("control done" in line for line in driver.stdout)
    driver.send_signal(how)
    rest = driver.stdout.read()  # ends when every process that held the pipe is gone
    assert driver.wait() == (-how if how == signal.SIGKILL else 128 + how)
    if how != signal.SIGKILL:
        assert "could not be built" not in rest
        assert (folder / "report.html").is_file()
        assert "Finished runs are kept" in rest
        assert "Traceback" not in rest
    before = finished(folder)
    assert {"base", "control"} <= before
    assert len(before) < 6, "it was killed on the way"
    stamps = {name: (folder / name / "record.json").stat().st_mtime_ns for name in before}
    answer = tiny_shop.sweep(folder, *grid)
    assert answer.code == 0, answer.text
    assert {name: (folder / name / "record.json").stat().st_mtime_ns for name in before} == stamps
    for name in ("control", "gini-0.3", "gini-1", "simpson-0.3", "simpson-1"):
        assert same_files(folder / name, tiny_sweep.folder / name)
    assert not json.loads((folder / "front.json").read_text(encoding="utf-8"))["missing"]
