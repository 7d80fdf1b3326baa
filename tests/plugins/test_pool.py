"""The pool's promises, on simulated jobs: one job a place, no idle place while a job waits, nothing left running."""

from __future__ import annotations

import heapq
import os
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from divrec.errors import ConfigError
from hydra_plugins.divrec_plugins._places import VISIBLE, find_devices, places, share_of_the_cores
from hydra_plugins.divrec_plugins._pool import Outcome, Place, Silent, run_all

FOUR = places(["0", "1", "2", "3"], 1, 1, -1, cores=2, threads=1)


@dataclass
class Machine:
    """Simulated time; every job says when it ends."""

    durations: list[int]
    now: int = 0
    busy: dict[str, int] = field(default_factory=dict)
    spans: list[tuple[int, str, int, int]] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)

    def start(self, index: int, place: Place) -> SimulatedJob:
        assert place.name not in self.busy, "two jobs on one device"
        self.busy[place.name] = index
        return SimulatedJob(self, index, place, self.now + self.durations[index])

    def wait(self, running):
        waiting = len(self.durations) - len(self.spans) - len(running)
        assert running
        assert waiting == 0 or len(running) == 4, "an idle device while a job waits"
        self.now = heapq.nsmallest(1, [job.end for job in running])[0]
        return [job for job in running if job.end == self.now]


@dataclass(eq=False)
class SimulatedJob:
    machine: Machine
    index: int
    place: Place
    end: int
    sentinel: int = 0

    def outcome(self) -> Outcome:
        del self.machine.busy[self.place.name]
        duration = self.machine.durations[self.index]
        self.machine.spans.append((self.index, self.place.name, self.end - duration, self.end))
        return Outcome(self.index, duration % 3 == 0, duration)

    def stop(self) -> None:
        self.machine.stopped.append(self.index)


@given(st.lists(st.integers(1, 20), max_size=30))
def test_four_devices_are_never_shared_and_never_idle_while_a_job_waits(durations):
    machine = Machine(durations)
    outcomes = run_all([str(n) for n in range(len(durations))], FOUR, machine.start, Silent(), machine.wait)
    assert [outcome.value for outcome in outcomes] == list(range(len(durations))), "in the order of the jobs"
    assert [outcome.failed for outcome in outcomes] == [duration % 3 == 0 for duration in durations]
    for index, place, begin, end in machine.spans:
        others = [span for span in machine.spans if span[0] != index and span[1] == place]
        assert all(end <= other[2] or other[3] <= begin for other in others)


def test_jobs_start_in_their_order():
    machine = Machine([5] * 9)
    run_all(list("abcdefghi"), FOUR, machine.start, Silent(), machine.wait)
    begins = [begin for _, _, begin, _ in sorted(machine.spans)]
    assert begins == sorted(begins) == [0] * 4 + [5] * 4 + [10]


def test_an_interrupted_pool_stops_what_runs_and_nothing_else():
    machine = Machine([1, 9, 9, 9, 9, 9])

    def interrupted(running):
        if machine.spans:
            raise KeyboardInterrupt
        return machine.wait(running)

    with pytest.raises(KeyboardInterrupt):
        run_all(list("abcdef"), FOUR, machine.start, Silent(), interrupted)
    assert sorted(machine.stopped) == [1, 2, 3, 4]


def test_a_listener_hears_of_every_start_and_end():
    heard = []

    class Notes(Silent):
        def started(self, name, place):
            heard.append((name, place))

        def ended(self, name, outcome):
            heard.append((name, outcome.failed))

    machine = Machine([1, 3])
    run_all(["a", "b"], FOUR, machine.start, Notes(), machine.wait)
    assert heard == [("a", "device 0"), ("b", "device 1"), ("a", False), ("b", True)]


def test_a_place_a_device():
    assert [place.environment for place in FOUR] == [{VISIBLE: number} for number in "0123"]
    pairs = places(["0", "1", "2", "3", "4"], 2, 1, -1, cores=2, threads=1)
    assert [place.environment[VISIBLE] for place in pairs] == ["0,1", "2,3"]
    shared = places(["0", "1"], 1, 2, 3, cores=2, threads=1)
    assert [place.environment[VISIBLE] for place in shared] == ["0", "1", "0"]


def test_without_devices_the_cores_are_shared():
    assert len(places([], 1, 1, -1, cores=8, threads=2)) == 4
    assert len(places([], 1, 1, -1, cores=2, threads=4)) == 1
    assert len(places([], 1, 1, 3, cores=1, threads=1)) == 3
    assert all(not place.environment for place in places([], 1, 1, 3, cores=1, threads=1))


_BLAS = "import numpy, threadpoolctl; print({each['num_threads'] for each in threadpoolctl.threadpool_info()})"


def test_linear_algebra_of_what_is_started_keeps_to_its_share_unless_the_user_says_otherwise(monkeypatch):
    pytest.importorskip("threadpoolctl")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "7")
    before = dict(os.environ)
    with share_of_the_cores(1):
        assert (os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]) == ("1", "7")
        said = subprocess.run([sys.executable, "-c", _BLAS], capture_output=True, text=True, check=True).stdout
    assert said.strip() in ("{1}", "set()"), "set(): a BLAS that threadpoolctl does not know"
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("devices", "per_run", "per_device", "n_jobs", "said"),
    [
        (["0"], 2, 1, -1, "a run needs 2 devices and there are 1"),
        (["0"], 0, 1, -1, "devices_per_run"),
        (["0"], "auto", 1, -1, "devices_per_run"),
        (["0"], 1, 0, -1, "runs_per_device"),
        (["0"], 1, 1, 0, "n_jobs"),
        ([], 1, 1, -2, "n_jobs"),
    ],
)
def test_places_that_make_no_sense_are_refused(devices, per_run, per_device, n_jobs, said):
    with pytest.raises(ConfigError, match=said):
        places(devices, per_run, per_device, n_jobs, cores=2, threads=1)


@pytest.mark.parametrize(("value", "found"), [("2,3", ["2", "3"]), ("", []), ("-1", []), ("GPU-1a", ["GPU-1a"])])
def test_devices_are_those_that_this_process_may_use(value, found, monkeypatch):
    monkeypatch.setenv(VISIBLE, value)
    assert find_devices() == found


def test_a_machine_without_the_driver_has_no_devices(monkeypatch):
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setenv("PATH", "")
    assert find_devices() == []
