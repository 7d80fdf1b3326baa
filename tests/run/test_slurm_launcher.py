"""Jobs through submitit, on this machine: one that is killed, a driver that is interrupted, what Slurm is asked for."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from types import SimpleNamespace

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.types import HydraContext
from hydra.utils import instantiate

from divrec.errors import ConfigError
from divrec.run.door import CONF
from hydra_plugins.divrec_plugins._pool import Silent
from hydra_plugins.divrec_plugins._queued import QueuedJob

core = pytest.importorskip("submitit.core.core")


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """`launcher(task)`: that of conf/hydra/launcher/slurm.yaml, with processes of this machine for jobs."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setattr(core.Job, "_results_timeout_s", 0)  # submitit's patience with slow disks
    setup_globals()
    with initialize_config_dir(CONF, version_base="1.3"):

        def launched(task, *overrides):
            places = [f"hydra.sweep.dir={tmp_path}/sweep", "hydra.sweep.subdir=${hydra.job.num}", "hydra.job.num=0"]
            local = ["hydra/launcher=slurm", "hydra.launcher.cluster=local", "hydra.launcher.gpus_per_node=null"]
            config = compose("train", [*local, *places, *overrides, "hydra.job.id=0"], return_hydra_config=True)
            found = instantiate(config.hydra.launcher)
            context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
            found.setup(hydra_context=context, task_function=task, config=config)
            return found

        yield launched


class Listening(Silent):
    """Remembers what it was told."""

    def __init__(self):
        self.began, self.outcomes = {}, {}

    def started(self, name, place):
        self.began[name] = place

    def ended(self, name, outcome):
        assert name in self.began
        self.outcomes[name] = outcome


@pytest.mark.slow
def test_a_job_that_dies_is_one_failed_run_and_the_others_finish(launcher):
    def task(config):
        if config.seed == 1:
            sys.stdout.write("what it said before\n")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        if config.seed == 2:
            raise ValueError("a mistake")
        return config.seed

    found = launcher(task)
    found.listener = heard = Listening()
    returned = found.launch([["seed=1", "hydra.job.name=one"], ["seed=2"], ["seed=3"]], 7)
    killed, raising, well = returned
    assert [each.status for each in returned] == [JobStatus.FAILED, JobStatus.FAILED, JobStatus.COMPLETED]
    assert killed.overrides == ["seed=1", "hydra.job.name=one"]
    assert sorted(heard.began) == sorted(heard.outcomes) == ["8", "9", "one"]
    assert all(place.startswith("job ") for place in heard.began.values())
    assert heard.outcomes["one"].failed
    assert isinstance(heard.outcomes["8"].value, ValueError)
    assert (heard.outcomes["9"].value, heard.outcomes["9"].failed) == (3, False)
    lines = str(killed._return_value).splitlines()
    assert "ended without a result" in lines[0]
    assert "    | what it said before" in lines
    assert isinstance(raising._return_value, ValueError), "an exception comes back as it is"
    assert well.return_value == 3
    assert well.hydra_cfg.hydra.job.num == 9


@pytest.fixture
def sigint(request):
    """What SIGINT means to the driver."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.parametrize(
    "sigint", [signal.default_int_handler, signal.SIG_IGN], ids=["heard", "ignored"], indirect=True
)
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_driver_leaves_no_job_behind(error, sigint, launcher, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def task(config):
        with pipe.open("w") as held:
            held.write("running\n")
            held.flush()
            signal.pause()

    opened = []

    class Interrupted(Silent):
        def tick(self):
            opened.append(pipe.open())
            assert opened[0].readline() == "running\n"
            raise error

    found = launcher(task)
    found.listener = Interrupted()
    with pytest.raises(error):
        found.launch([["seed=1"]], 0)
    assert opened[0].read() == "", "the pipe ends when its only writer is gone"
    assert signal.getsignal(signal.SIGINT) is sigint


@pytest.mark.slow
def test_a_run_that_is_killed_in_a_sweep_stops_no_other(tiny_shop, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setattr(core.Job, "_results_timeout_s", 0)
    local = ("hydra/launcher=slurm", "hydra.launcher.cluster=local", "hydra.launcher.gpus_per_node=null")
    scratch = ("hydra.sweeper.from_base=false", "hydra.sweeper.baselines=[]")
    answer = tiny_shop.sweep(tmp_path / "sweep", *local, *scratch, "diversity=killed,gini", "beta=1")
    assert answer.code == 1
    assert {path.parent.name for path in tmp_path.glob("sweep/*/record.json")} == {"control", "gini-1"}
    assert "killed-1 failed: RunProcessError: job" in answer.text
    assert "1 failed: killed-1" in answer.text
    assert re.search(r"gini-1 done in \d[^:]*: \d of 3 done", answer.text), "as under other launchers"
    assert json.loads((tmp_path / "sweep" / "front.json").read_text(encoding="utf-8"))["missing"] == ["killed-1"]


def test_without_submitit_it_says_what_to_install(launcher, monkeypatch):
    monkeypatch.setitem(sys.modules, "hydra_plugins.hydra_submitit_launcher.submitit_launcher", None)
    with pytest.raises(ConfigError, match=r"pip install 'divrec\[slurm\]'"):
        launcher(None).check()


def test_without_slurm_it_says_where_to_start_the_sweep(launcher, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"sbatch and srun are not on the PATH\. .*hydra\.launcher\.cluster=local"):
        launcher(None, "hydra.launcher.cluster=slurm").check()
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("hydra.launcher.cluster=pbs", "pbs"),
        ("+hydra.launcher.nonsense=1", "nonsense"),
        ("hydra.launcher.mem_gb=much", "mem_gb"),
    ],
)
def test_a_setting_that_submitit_does_not_know_is_told_beforehand(setting, message, launcher):
    with pytest.raises(ConfigError, match=f"hydra.launcher: .*{message}"):
        launcher(None, setting).check()


class Job:
    """A job of submitit on its way."""

    job_id = "7"
    ended = False

    def __init__(self, folder):
        self.paths = SimpleNamespace(stdout=folder / "7.out")

    def done(self):
        return self.ended

    def results(self):
        return [JobReturn(status=JobStatus.COMPLETED)]


def test_a_queued_job_has_started_once_it_prints_and_is_told_of_once(tmp_path):
    heard, job = Listening(), Job(tmp_path)
    queued = QueuedJob("a", job, [])
    queued.look(heard)
    assert not heard.began, "it still waits for a node"
    job.paths.stdout.touch()
    queued.look(heard)
    assert heard.began == {"a": "job 7"}
    assert queued.returned is None
    job.ended = True
    queued.look(heard)
    assert not heard.outcomes["a"].failed
    assert queued.returned.status == JobStatus.COMPLETED


def test_slurm_is_asked_for_an_array_with_time_limit_and_requeuing(launcher, monkeypatch, tmp_path):
    (tmp_path / "srun").touch(0o755)
    (tmp_path / "sbatch").write_text('#!/bin/sh\ncp "$1" "$0.asked"\necho "Submitted batch job 12"\n')
    (tmp_path / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    results = {name: JobReturn(status=JobStatus.COMPLETED, working_dir=name) for name in ("12_0", "12_1")}
    monkeypatch.setattr(core.Job, "done", lambda job: True)
    monkeypatch.setattr(core.Job, "results", lambda job: [results[job.job_id]])
    asked = ("hydra.launcher.cluster=slurm", "hydra.launcher.gpus_per_node=1", "hydra.launcher.partition=gpu")
    found = launcher(None, *asked, "threads=4", "+hydra.launcher.qos=long")
    assert found.launch([["seed=1"], ["seed=2"]], 0) == list(results.values())
    script = (tmp_path / "sbatch.asked").read_text(encoding="utf-8")
    for option in ("partition=gpu", "cpus-per-task=4", "gpus-per-node=1", "time=240", "array=0-1%2", "qos=long"):
        assert f"#SBATCH --{option}\n" in script
    (submitted,) = tmp_path.rglob("12_1_submitted.pkl")
    assert core.utils.DelayedSubmission.load(submitted)._timeout_countdown == 3
