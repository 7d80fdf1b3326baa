"""A search: what it draws, how it goes on after a stop or a failure, and one through the real command."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hydra.errors import HydraException

from divrec.errors import ConfigError
from divrec.run.door import UserMistake
from divrec.run.train import main
from hydra_plugins.divrec_plugins._runner import SweepRunner
from run.command import ROOT, command
from run.planned import Recorder
from run.tiny import record_of

optuna = pytest.importorskip("optuna")

SETTINGS = (
    "hydra.sweeper.search.trials=6",
    "hydra.sweeper.search.batch=2",
    "hydra.sweeper.search.startup=3",
    "hydra.sweeper.search.floor=null",
    "hydra.sweeper.baselines=[]",
)


@dataclass
class Shop(Recorder):
    """Trains nothing: accuracy falls and exposure evens out as beta grows."""

    stop_after: int = 99

    def launch(self, jobs, initial_job_idx):
        if len(self.waves) >= self.stop_after:
            raise KeyboardInterrupt
        return super().launch(jobs, initial_job_idx)

    @property
    def trials(self) -> dict[str, dict[str, str]]:
        return {name: job for name, job in self.by_name.items() if name.startswith("trial")}


@pytest.fixture
def search(plan, monkeypatch):
    """Runs a search; values come from the overrides of the run."""
    known: dict[str, dict[str, str]] = {}

    def values(runner, name, metrics):
        runs = known | runner.launcher.by_name
        known.update(runs)
        beta = float(runs[name].get("beta", 0))
        width = float(runs[name].get("relaxation.width", 0.1))
        return [0.1 - 0.05 * beta - 0.01 * width, 0.9 - 0.4 * beta][: len(metrics)]

    monkeypatch.setattr(SweepRunner, "values", values)

    def searched(
        *settings: str, launcher: Shop | None = None, folder: str = "sweep", grid: tuple[str, ...] = ()
    ) -> Shop:
        given = (*SETTINGS, *settings)
        return plan(*grid, sweep="search", settings=given, launcher=launcher or Shop(), folder=folder)

    return searched


def without_places(jobs):
    return {name: {key: value for key, value in job.items() if key != "init_from"} for name, job in jobs.items()}


def test_a_search_trains_references_first_then_trials_in_batches(search, tmp_path):
    shop = search()
    assert shop.names[:2] == [["base"], ["control"]]
    assert [len(names) for names in shop.names[2:]] == [2] * 3
    assert len(shop.trials) == 6
    for job in shop.trials.values():
        assert job["init_from"] == f'"{tmp_path}/sweep/base"'
        assert job["schedule"] == "finetune"
        assert 0.03 <= float(job["beta"]) <= 2
        assert 0.03 <= float(job["relaxation.width"]) <= 0.5
        assert job["diversity"] in ("gini", "simpson", "beta_divergence", "gini_overlap", "[gini,beta_divergence]")
        assert job["tuning"] == "frozen"
    expected = json.loads((tmp_path / "sweep" / "sweep.json").read_text(encoding="utf-8"))["expected"]
    assert [point["name"] for point in expected] == [name for names in shop.names for name in names]


@pytest.mark.parametrize(
    ("launcher", "sizes"),
    [
        (("slurm", "hydra.launcher.array_parallelism=4"), [4, 2]),
        (("joblib", "hydra.launcher.n_jobs=3"), [3, 3]),
        (("basic",), [1] * 6),
        (("slurm",), [6]),
    ],
)
def test_without_a_batch_as_many_are_drawn_as_the_launcher_runs_at_a_time(launcher, sizes, search, capsys):
    name, *settings = launcher
    shop = search(f"hydra/launcher={name}", *settings, "hydra.sweeper.search.batch=null")
    assert [len(names) for names in shop.names[2:]] == sizes
    assert ("none learns from another" in capsys.readouterr().out) == (sizes == [6])


def test_two_searches_of_one_seed_draw_the_same_and_another_seed_others(search):
    one, same = search(folder="one"), search(folder="same")
    other = search("hydra.sweeper.search.seed=1", folder="other")
    assert without_places(one.trials) == without_places(same.trials)
    assert without_places(one.trials) != without_places(other.trials)
    betas = [job["beta"] for job in one.trials.values()]
    assert len(set(betas)) == len(betas), "no point twice"


@pytest.mark.parametrize("waves_before", [2, 3, 4])
def test_a_search_killed_on_the_way_draws_what_an_unbroken_one_draws(waves_before, search):
    unbroken = search(folder="unbroken")
    killed = Shop(stop_after=waves_before)
    with pytest.raises(SystemExit) as left:
        search(launcher=killed)
    assert left.value.code == 130
    resumed = search()
    assert without_places(killed.trials | resumed.trials) == without_places(unbroken.trials)
    assert not set(killed.trials) & set(resumed.trials), "what was told is not asked again"
    assert not search().trials, "enough is enough"
    assert len(search("hydra.sweeper.search.trials=8").trials) == 2, "a search grows"


def test_a_failed_trial_is_told_so_and_tried_again_under_its_name(search, tmp_path):
    with pytest.raises(SystemExit) as left:
        search(launcher=Shop(failing="trial-4"))
    assert left.value.code == 1
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{tmp_path}/sweep/study.sqlite3")
    states = [trial.state.name for trial in study.trials]
    assert states.count("FAIL") == 1
    assert states[4] == "FAIL"
    assert states.count("COMPLETE") == 5
    drawn = dict(study.trials[4].params)
    again = search()
    assert list(again.trials) == ["trial-4"]
    assert float(again.trials["trial-4"]["beta"]) == drawn["beta"]
    assert not search().trials


def test_what_the_base_depends_on_gets_a_base_and_a_control_for_each_choice(search, tmp_path):
    shop = search("hydra.sweeper.space.tuning=[frozen,full]")
    assert shop.names[:2] == [["base-tuningfrozen", "base-tuningfull"], ["control-tuningfrozen", "control-tuningfull"]]
    assert {job["tuning"] for job in shop.trials.values()} == {"frozen", "full"}
    for name, job in shop.trials.items():
        assert name.endswith(f"-tuning{job['tuning']}"), "which ends as its control's does"
        assert job["init_from"] == f'"{tmp_path}/sweep/base-tuning{job["tuning"]}"'


def test_betas_beyond_one_that_costs_too_much_are_not_trained(search, tmp_path):
    expensive = (
        "hydra.sweeper.space.diversity=[gini]",
        "hydra.sweeper.space.beta.low=0.5",
        "hydra.sweeper.search.trials=12",
    )
    shop = search("hydra.sweeper.search.floor=0.95", *expensive)
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{tmp_path}/sweep/study.sqlite3")
    states = [trial.state.name for trial in study.trials]
    assert states.count("PRUNED") > 0
    assert len(shop.trials) == 12 - states.count("PRUNED")
    assert not [name for name in shop.trials if states[int(name.split("-")[1])] == "PRUNED"]


def test_a_grid_and_a_search_do_not_mix(search):
    with pytest.raises(UserMistake, match="a search draws its values itself"):
        search(grid=("beta=1,2",))
    assert search(grid=("seed=3",)).by_name["base"]["seed"] == "3"


def test_a_study_of_other_objectives_or_choices_is_refused(search):
    search()
    with pytest.raises(UserMistake, match="the study there began with"):
        search("hydra.sweeper.search.objectives=[{metric:ndcg@10,direction:maximize}]")
    with pytest.raises(UserMistake, match="the study began with another space"):
        search("hydra.sweeper.space.diversity=[gini]", "hydra.sweeper.search.trials=20")


CHECK = SweepRunner.check


def test_a_typo_in_the_space_is_told_before_anything_trains(search, monkeypatch, tmp_path):
    monkeypatch.setattr(SweepRunner, "check", CHECK)
    shop = Shop()
    with pytest.raises(HydraException, match="diversity/nonsense"):
        search("hydra.sweeper.space.diversity=[gini,nonsense]", launcher=shop)
    assert not shop.waves
    assert not (tmp_path / "sweep").exists()


def test_choices_that_do_not_go_together_are_one_failed_trial(search, monkeypatch, tmp_path, capsys):
    def check_run(runner, name, job):
        if name == "trial-1":
            raise ConfigError("they do not go together", where="model")

    monkeypatch.setattr(SweepRunner, "_check_run", check_run)
    shop = Shop()
    with pytest.raises(SystemExit) as left:
        search(launcher=shop)
    assert left.value.code == 1
    assert "trial-1 failed: ConfigError: model: they do not go together" in capsys.readouterr().out
    assert sorted(shop.trials) == [f"trial-{number}" for number in (0, 2, 3, 4, 5)]
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{tmp_path}/sweep/study.sqlite3")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL", *["COMPLETE"] * 4]
    expected = json.loads((tmp_path / "sweep" / "sweep.json").read_text(encoding="utf-8"))["expected"]
    assert "trial-1" not in {point["name"] for point in expected}


@pytest.mark.slow
def test_a_search_through_the_real_command_leaves_a_front_of_its_trials(tiny_shop, tmp_path):
    folder = tmp_path / "search"
    arguments = ("--config-dir", str(ROOT / "tests" / "run" / "conf"), "-m", "+sweep=tiny_search", "logger=none")
    places = (f"encoder.model={tiny_shop.plm}", f"paths.outputs={tiny_shop.outputs}", f"hydra.sweep.dir={folder}")
    answer = command(main, *arguments, *places)
    assert answer.code == 0, answer.text
    trials = sorted(path.parent.name for path in Path(folder).glob("trial-*/record.json"))
    assert trials == ["trial-0", "trial-1", "trial-2", "trial-3"]
    assert set(trials) < set(json.loads((folder / "front.json").read_text(encoding="utf-8"))["points"])
    study = optuna.load_study(study_name="search", storage=f"sqlite:///{folder}/study.sqlite3")
    for trial in study.trials:
        record = record_of(folder / f"trial-{trial.number}")
        assert trial.values == [record["metrics"]["validation"][name] for name in ("ndcg@10", "gini@10")]
        assert record["config"]["relaxation"]["width"] == trial.params["relaxation.width"]
        assert record["config"]["schedule"]["learning_rate"] == trial.params["schedule.learning_rate"]
        assert list(record["config"]["diversity"]) == [trial.params["diversity"]]
