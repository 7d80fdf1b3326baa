"""The sweeper's plan: waves, names and overrides of a grid, without a training behind it."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from hydra import compose
from hydra.errors import InstantiationException

from divrec.run.door import CONF, UserMistake
from hydra_plugins.divrec_plugins._runner import SweepRunner
from run.planned import Recorder

CHECK = SweepRunner.check
ONE_BASELINE = ("hydra.sweeper.baselines=[popular]",)


def test_a_grid_over_diversity_and_beta_has_one_base_and_one_control(plan):
    launched = plan("diversity=simpson,gini", "beta=0.1,1")
    assert launched.names == [
        ["base", "random", "popular", "item_knn"],
        ["control", "simpson-0.1", "simpson-1", "gini-0.1", "gini-1"],
    ]


def test_the_file_alone_asks_for_fourteen_runs_and_more(plan):
    names = [name for wave in plan().names for name in wave]
    assert len(names) >= 14
    assert len(set(names)) == len(names)
    heads = {name.rsplit("-", 1)[0] for name in names if "-" in name}
    assert heads == {"gini_overlap", "simpson", "beta_divergence", "gini"}


@pytest.mark.parametrize("sweep", sorted(path.stem for path in Path(CONF, "sweep").glob("*.yaml")))
def test_every_job_of_a_sweep_on_disk_composes(sweep, plan):
    jobs = plan(sweep=sweep).by_name
    assert len(jobs) > 5
    different = {}  # one of those that differ in numbers alone
    for job in jobs.values():
        overrides = [f"{key}={value}" for key, value in job.items() if not key.startswith("hydra.")]
        kinds = (re.sub(r"\d[\d.e+-]*", "0", text) for text in overrides)
        different[float(job.get("beta", 0)) > 0, *kinds] = overrides
    for overrides in different.values():
        config = compose("train", overrides=overrides)
        assert bool(config.diversity) == (config.beta > 0)


def test_a_base_is_the_point_with_the_base_overrides(plan):
    jobs = plan("diversity=simpson,gini", "beta=0.1,1", "seed=3").by_name
    wanted = {"diversity": "none", "beta": "0", "seed": "3"}
    assert {key: jobs["base"][key] for key in wanted} == wanted
    assert "schedule" not in jobs["base"], "that of the command"
    assert "init_from" not in jobs["base"]
    assert jobs["popular"]["model"] == "popular"
    assert jobs["popular"]["beta"] == "0"


def test_points_and_their_control_differ_in_the_grid_alone(plan, tmp_path):
    jobs = plan("diversity=simpson,gini", "beta=0.1,1").by_name
    point, control = jobs["gini-0.1"], jobs["control"]
    assert point["init_from"] == control["init_from"] == f'"{tmp_path}/sweep/base"'
    assert point["schedule"] == control["schedule"] == "finetune"
    assert (point["diversity"], point["beta"]) == ("gini", "0.1")
    assert (control["diversity"], control["beta"], control["rerank"]) == ("none", "0", "mmr")
    assert "rerank" not in point
    ignored = {"diversity", "beta", "rerank", "hydra.job.name", "hydra.sweep.subdir"}
    assert {key: point[key] for key in point.keys() - ignored} == {
        key: control[key] for key in control.keys() - ignored
    }
    assert all(job["hydra.sweep.subdir"] == name for name, job in jobs.items())


def test_what_only_a_base_has_does_not_reach_the_control(plan):
    jobs = plan("diversity=simpson,gini", "beta=0.1,1", settings=("+hydra.sweeper.base.threads=2",)).by_name
    assert jobs["base"]["threads"] == "2"
    assert "threads" not in jobs["control"]
    assert "threads" not in jobs["gini-0.1"]


def test_keys_below_a_group_reach_the_runs_that_they_are_for(plan):
    deep = (
        "+hydra.sweeper.base.schedule.steps=20",
        "+hydra.sweeper.base.schedule.patience=null",
        "+hydra.sweeper.params.schedule.warmup='1,2'",
    )
    launched = plan("diversity=gini", "beta=1", settings=(*deep, *ONE_BASELINE))
    jobs = launched.by_name
    assert launched.names[1] == ["control-warmup1", "gini-1-warmup1", "control-warmup2", "gini-1-warmup2"]
    assert jobs["base-warmup1"]["schedule.steps"] == "20"
    assert jobs["gini-1-warmup2"]["schedule.warmup"] == "2"
    assert "schedule.steps" not in jobs["control-warmup1"]
    for job, steps in ((jobs["base-warmup1"], 20), (jobs["gini-1-warmup1"], 150)):
        config = compose("train", overrides=[f"{key}={value}" for key, value in job.items() if "hydra." not in key])
        assert config.schedule.steps == steps
        assert (config.schedule.warmup, config.schedule.patience) == (1, None)


def test_a_key_below_the_choice_of_every_point_is_refused_with_another_way_to_say_it(plan):
    with pytest.raises(InstantiationException, match="takes the place of the choice") as refused:
        plan("beta=1", settings=("+hydra.sweeper.point.schedule.steps=20",))
    assert "'+hydra.sweeper.point={schedule.steps:...}'" in str(refused.value)
    point = plan("diversity=gini", "beta=1", settings=("+hydra.sweeper.point={schedule.steps:20}",)).by_name["gini-1"]
    assert (point["schedule"], point["schedule.steps"]) == ("finetune", "20")


def test_seeds_get_a_base_a_control_and_baselines_each(plan, tmp_path):
    launched = plan("diversity=simpson,gini", "beta=1", "seed=0,1")
    assert set(launched.names[0]) == {
        f"{kind}-seed{seed}" for kind in ("base", "random", "popular", "item_knn") for seed in (0, 1)
    }
    second = set(launched.names[1])
    assert {"control-seed0", "control-seed1"} < second
    assert len(second) == 2 + 4
    for seed in "01":
        point = next(job for name, job in launched.by_name.items() if name.startswith("gini") and name.endswith(seed))
        assert point["init_from"] == f'"{tmp_path}/sweep/base-seed{seed}"'
        assert point["seed"] == seed


def test_a_baseline_is_not_tuned(plan):
    jobs = plan("diversity=gini", "beta=1", "tuning=lora", "tuning.rank=2", settings=ONE_BASELINE).by_name
    assert (jobs["base"]["tuning"], jobs["base"]["tuning.rank"]) == ("lora", "2")
    assert not [key for key in jobs["popular"] if key.startswith("tuning")]


def test_task_losses_get_a_base_each(plan):
    launched = plan("task=bce,mse", "diversity=gini,simpson", "beta=1,2")
    assert {"base-taskbce", "base-taskmse"} < set(launched.names[0])
    assert {"control-taskbce", "control-taskmse"} < set(launched.names[1])
    assert len(launched.names[1]) == 2 + 8


def test_two_regularizers_at_once_are_one_point(plan):
    jobs = plan("diversity=gini,[gini,beta_divergence]", "beta=0.3,1").by_name
    assert jobs["gini+beta_divergence-0.3"]["diversity"] == "[gini,beta_divergence]"
    assert set(jobs) >= {"gini-0.3", "gini-1", "gini+beta_divergence-0.3", "gini+beta_divergence-1"}


def test_without_a_base_every_point_trains_from_scratch(plan):
    launched = plan("diversity=gini,simpson", "beta=1,2", settings=("hydra.sweeper.from_base=false",))
    assert launched.names == [
        ["random", "popular", "item_knn"],
        ["control", "gini-1", "gini-2", "simpson-1", "simpson-2"],
    ]
    assert not any("init_from" in job for job in launched.by_name.values())
    bare = ("hydra.sweeper.from_base=false", "hydra.sweeper.baselines=[]")
    assert plan("diversity=gini,simpson", "beta=1,2", settings=bare).names == [
        ["control", "gini-1", "gini-2", "simpson-1", "simpson-2"]
    ]


def test_the_command_line_wins_over_the_file(plan):
    names = plan("beta=7,8").names[1]
    assert "gini-7" in names
    assert "gini-0.1" not in names


def test_sweep_json_names_every_run_with_its_kind(plan, tmp_path):
    launched = plan("diversity=gini,simpson", "beta=1,2")
    content = json.loads((tmp_path / "sweep" / "sweep.json").read_text(encoding="utf-8"))
    assert content["name"] == "sweep"
    assert [point["name"] for point in content["expected"]] == [name for wave in launched.names for name in wave]
    kinds = {point["name"]: point["kind"] for point in content["expected"]}
    assert kinds["base"] == "base"
    assert kinds["control"] == "control"
    assert kinds["item_knn"] == "baseline"
    assert kinds["gini-1"] == "trained"
    assert (tmp_path / "sweep" / "multirun.yaml").is_file()


def test_the_front_is_built_once_and_logged_where_the_runs_are(plan, tmp_path):
    assert plan("beta=1,2").fronts == [(tmp_path / "sweep", ("divrec", "offline"))]
    assert plan("beta=1,2", settings=("logger=none",)).fronts[-1] == (tmp_path / "sweep", None)


def test_a_failed_run_stops_no_other_and_the_exit_code_tells(plan):
    launcher = Recorder(failing="gini-1")
    with pytest.raises(SystemExit) as leaving:
        plan("diversity=gini,simpson", "beta=1,2", launcher=launcher)
    assert leaving.value.code == 1
    assert len(launcher.waves) == 2
    assert launcher.fronts


class Interrupted(Recorder):
    """Gets a signal in the second wave."""

    number = signal.SIGINT

    def launch(self, jobs, initial_job_idx):
        if self.waves:
            if self.number == signal.SIGINT:
                raise KeyboardInterrupt  # as Python does; a shell's background job may ignore the signal itself
            signal.raise_signal(self.number)
        return super().launch(jobs, initial_job_idx)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_still_has_its_front_and_ends_without_a_traceback(number, plan, capsys):
    before = signal.getsignal(signal.SIGTERM)
    launcher = Interrupted(failing="popular")
    launcher.number = number
    with pytest.raises(SystemExit) as left:
        plan("beta=1,2", launcher=launcher)
    assert left.value.code == 128 + number, "as shells say of Ctrl-C and of kill"
    assert len(launcher.fronts) == 1
    assert "Finished runs are kept" in (said := capsys.readouterr().out)
    assert "1 failed: popular; the same command tries them again" in said
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("launcher", "code"), [(Recorder(), 1), (Recorder(failing="gini-1"), 1), (Interrupted(), 130)])
def test_a_front_that_breaks_hides_neither_failed_runs_nor_how_the_sweep_ended(
    launcher, code, plan, monkeypatch, capsys
):
    def broken(folder, wandb=None, options=None):
        raise ZeroDivisionError("of a library")

    monkeypatch.setattr("divrec.run.front.build", broken)
    with pytest.raises(SystemExit) as left:
        plan("diversity=gini", "beta=1", launcher=launcher)
    assert left.value.code == code
    said = capsys.readouterr().out
    assert "The front could not be built\nTraceback" in said
    assert "ZeroDivisionError: of a library" in said
    assert ("1 failed: gini-1; the same command tries them again" in said) == (launcher.failing == "gini-1")


def test_where_every_run_of_a_wave_is_left_out_nothing_is_launched(plan, capsys):
    launcher = Recorder(failing="base")
    with pytest.raises(SystemExit):
        plan("diversity=gini", "beta=1", launcher=launcher)
    assert len(launcher.waves) == 1
    said = capsys.readouterr().out
    assert "Wave 2 of 2" not in said
    assert "gini-1 is left out: its base base failed" in said


def test_the_report_of_a_sweep_is_in_the_language_that_the_sweep_names(plan, monkeypatch):
    asked = []
    monkeypatch.setattr("divrec.run.front.build", lambda folder, wandb, options: asked.append(options))
    plan("diversity=gini", "beta=1")
    plan("diversity=gini", "beta=1", settings=("report.language=zh", "report.users=3"))
    assert [(options.language, options.users) for options in asked] == [("en", 10), ("zh", 3)]


def test_a_language_that_no_report_has_is_refused_before_anything_trains(plan, monkeypatch):
    monkeypatch.setattr(SweepRunner, "_check_run", lambda runner, name, job: None)
    monkeypatch.setattr(SweepRunner, "check", CHECK)
    launcher = Recorder()
    with pytest.raises(UserMistake, match="klingon"):
        plan("diversity=gini", "beta=1", settings=("report.language=klingon",), launcher=launcher)
    assert not launcher.waves


@pytest.mark.parametrize(("devices", "launcher"), [("1", "local"), ("2", "processes")])
def test_several_nodes_are_refused_under_every_launcher(devices, launcher, plan, monkeypatch):
    monkeypatch.setattr(SweepRunner, "check", CHECK)
    nodes = ("trainer.num_nodes=2", f"trainer.devices={devices}")
    recorder = Recorder()
    recorder.as_command = launcher == "processes"
    with pytest.raises(UserMistake, match=r"trainer\.num_nodes: .*one node"):
        plan(*nodes, "diversity=gini", "beta=1", settings=ONE_BASELINE, launcher=recorder)
    assert not recorder.waves


def test_a_sweep_grows_and_still_expects_what_it_had(plan, tmp_path):
    plan("diversity=gini", "beta=1")
    names = [name for wave in plan("diversity=gini", "beta=1,2", settings=ONE_BASELINE).names for name in wave]
    expected = json.loads((tmp_path / "sweep" / "sweep.json").read_text(encoding="utf-8"))["expected"]
    together = [point["name"] for point in expected]
    assert set(names) < set(together)
    assert together == list(dict.fromkeys(together)), "each once"
    assert {"random", "item_knn", "gini-1", "gini-2"} <= set(together)
    assert {point["name"]: point["kind"] for point in expected}["random"] == "baseline", "as the first start named it"


def test_a_broken_description_of_a_sweep_is_told(plan, tmp_path):
    plan("diversity=gini", "beta=1")
    (tmp_path / "sweep" / "sweep.json").write_text('{"expected": [1]}', encoding="utf-8")
    with pytest.raises(UserMistake, match=r"sweep\.json: .* Delete the file, and start the sweep again"):
        plan("diversity=gini", "beta=1,2")


def test_one_folder_has_one_driver_at_a_time(plan, tmp_path):
    class Second(Recorder):
        def launch(self, jobs, initial_job_idx):
            with pytest.raises(UserMistake, match="another sweep is at work"):
                plan("diversity=gini", "beta=3")
            return super().launch(jobs, initial_job_idx)

    assert len(plan("diversity=gini", "beta=1", launcher=Second()).waves) == 2
    assert plan("diversity=gini", "beta=3").by_name["gini-3"], "free again"


def test_a_launcher_that_gives_up_fails_the_runs_that_left_no_record(plan, tmp_path, capsys):
    class GivesUp(Recorder):
        def launch(self, jobs, initial_job_idx):
            results = super().launch(jobs, initial_job_idx)
            if len(self.waves) == 2:
                for name in ("control", "gini-1"):
                    (tmp_path / "sweep" / name).mkdir()
                    (tmp_path / "sweep" / name / "record.json").write_text("{}", encoding="utf-8")
                raise RuntimeError("a worker was killed")
            return results

    launcher = GivesUp()
    with pytest.raises(SystemExit):
        plan("diversity=gini", "beta=1,2", launcher=launcher)
    assert launcher.fronts
    said = capsys.readouterr().out
    assert "gini-2 failed: RuntimeError: a worker was killed" in said
    assert "gini-1 failed" not in said
