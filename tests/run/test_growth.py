"""A sweep that grows by seeds or by another key: what was trained before keeps its names, and is not trained again."""

from __future__ import annotations

import json

import pytest
from hydra import compose
from omegaconf import OmegaConf

from divrec.run.door import UserMistake, resolved
from run.planned import Recorder

POINT = ("diversity=gini", "beta=1")
FEW = ("hydra.sweeper.baselines=[popular]",)
FIRST_START = [["base", "popular"], ["control", "gini-1"]]


class Leaving(Recorder):
    """Trains nothing, and leaves in the folders of bases and controls what a training would."""

    heads = ("base", "control")
    as_records = True

    def launch(self, jobs, initial_job_idx):
        results = super().launch(jobs, initial_job_idx)
        for job in self.waves[-1]:
            if job["hydra.job.name"].split("-")[0] in self.heads:
                self.leave(job)
        return results

    def leave(self, job):
        overrides = [f"{key}={value}" for key, value in job.items() if not key.startswith("hydra.")]
        config = compose("train", ["logger=none", *overrides])
        folder = self.folder / job["hydra.job.name"]
        (folder / ".hydra").mkdir(parents=True, exist_ok=True)
        OmegaConf.save(config, folder / ".hydra" / "config.yaml")
        if self.as_records:
            record = {"identity": "i", "config": resolved(config) | {"name": folder.name, "kind": self.heads[0]}}
            (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")


@pytest.fixture
def start(plan, tmp_path):
    """Starts the sweep with a grid, in one folder; gives the names of its waves."""

    def started(*grid, launcher=None):
        launcher = launcher or Leaving()
        launcher.folder = tmp_path / "sweep"
        return plan(*POINT, *grid, settings=FEW, launcher=launcher)

    return started


def test_grown_by_seeds_the_first_seed_keeps_its_names(start, tmp_path):
    assert start().names == FIRST_START
    grown = start("seed=0,1")
    assert grown.names == [
        ["base", "popular", "base-seed1", "popular-seed1"],
        ["control", "gini-1", "control-seed1", "gini-1-seed1"],
    ]
    jobs = grown.by_name
    assert (jobs["gini-1"]["seed"], jobs["gini-1-seed1"]["seed"]) == ("0", "1")
    for name, base in (("gini-1", "base"), ("control", "base"), ("gini-1-seed1", "base-seed1")):
        assert jobs[name]["init_from"] == f'"{tmp_path}/sweep/{base}"'
    expected = json.loads((tmp_path / "sweep" / "sweep.json").read_text(encoding="utf-8"))["expected"]
    assert not [point["name"] for point in expected if "seed0" in point["name"]]
    assert start("seed=0,1").names == grown.names, "started again it is the same sweep"
    assert start("seed=1").names == [["base-seed1", "popular-seed1"], ["control-seed1", "gini-1-seed1"]]


@pytest.mark.parametrize("as_records", [True, False])
def test_a_base_that_was_killed_in_the_first_wave_is_found_again(as_records, start):
    class Killed(Leaving):
        heads = ("base",)

    killed = Killed()
    killed.as_records = as_records
    start(launcher=killed)
    assert start("seed=0,1").names[1][:2] == ["control", "gini-1"]


def test_another_key_grows_alike(start):
    start()
    assert start("task=bce,cross_entropy").names[1] == ["control-taskbce", "gini-1-taskbce", "control", "gini-1"]


def test_where_nothing_is_the_same_every_cell_has_a_name_of_its_own(start):
    start()
    assert start("seed=1,2").names[1] == ["control-seed1", "gini-1-seed1", "control-seed2", "gini-1-seed2"]


def test_cells_that_decide_no_number_are_not_taken_for_one_another(start):
    start()
    names = start("rerank=none,mmr").names[1]
    assert names == ["control-reranknone", "gini-1-reranknone", "control-rerankmmr", "gini-1-rerankmmr"]


def test_a_run_of_the_same_seed_with_other_settings_is_refused_with_what_to_do(start):
    start()
    refusal = r"control: is control-seed0 by its seed, with other settings \(k: 10 -> 5.*hydra\.sweep\.dir"
    with pytest.raises(UserMistake, match=refusal):
        start("seed=0,1", "k=5")
