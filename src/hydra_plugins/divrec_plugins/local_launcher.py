"""Runs the jobs of a sweep on this machine, each in a process of its own with its own device or share of the cores.

Processes are forked from a server that has imported torch once, so that a run starts in a fraction of a second and
still shares nothing with the runs before it: what one leaks, breaks or is killed for is its own.
"""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, configure_log, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_plugins.divrec_plugins._places import find_devices, places, share_of_the_cores
from hydra_plugins.divrec_plugins._plan import name_of
from hydra_plugins.divrec_plugins._pool import Listener, Outcome, Place, Silent, run_all
from hydra_plugins.divrec_plugins._worker import ChildRun, Sweeping, run_in_child

logger = logging.getLogger(__name__)

AUTO = "auto"
_PRELOADED = ["divrec.run.job", "hydra_plugins.divrec_plugins._worker"]


class LocalLauncher(Launcher):
    """A pool of processes: one run at a time for every device, or for every core where there is none.

    Args:
        n_jobs: runs at a time at most; -1 = as many as there are devices, or cores for `threads` each.
        devices: ids for CUDA_VISIBLE_DEVICES, or `auto` = all that this process may use; none if the accelerator is
            the CPU.
        devices_per_run: devices of one run; its `trainer.devices` has to be the same.
        runs_per_device: runs that share a device; 1 gives each its own.
        as_command: start each run as a command of its own (`python -m divrec.run.train ...`), which is what a run on
            several devices needs; costs the imports, some 10 seconds, for every run.
    """

    def __init__(
        self,
        n_jobs: int = -1,
        devices: str | Sequence[int | str] = AUTO,
        devices_per_run: int = 1,
        runs_per_device: int = 1,
        as_command: bool = False,
    ) -> None:
        self.n_jobs, self.devices, self.devices_per_run = n_jobs, devices, devices_per_run
        self.runs_per_device, self.as_command = runs_per_device, as_command
        self.listener: Listener = Silent()
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None
        self.task_function: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra."""
        self.config, self.hydra_context, self.task_function = config, hydra_context, task_function

    def find_places(self) -> list[Place]:
        """Where runs go.

        Raises:
            ConfigError: see `places` of `_places`.
        """
        from joblib import cpu_count  # knows what a container allows

        threads = self.config.get("threads", 1)
        return places(self._devices(), self.devices_per_run, self.runs_per_device, self.n_jobs, cpu_count(), threads)

    def check(self) -> None:
        """Refuse what could not run.

        Raises:
            ConfigError: more devices for a run than there are.
        """
        self.find_places()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns when all have ended."""
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        self.check()
        assert self.config is not None
        assert self.hydra_context is not None
        assert self.task_function is not None
        context = self._context()
        sweeping = Sweeping(self.hydra_context, self.config, self.task_function, Singleton.get_state(), self.as_command)
        payload = cloudpickle.dumps(sweeping)
        names = [name_of(overrides) or str(initial_job_idx + n) for n, overrides in enumerate(job_overrides)]
        share = nullcontext() if self._devices() else share_of_the_cores(self.config.get("threads", 1))
        with tempfile.TemporaryDirectory(prefix="divrec-sweep-") as results, share:

            def start(index: int, place: Place) -> ChildRun:
                result = Path(results) / str(index)
                number, overrides = initial_job_idx + index, list(job_overrides[index])
                given = (payload, overrides, number, place.environment, result)
                process: BaseProcess = context.Process(target=run_in_child, args=given, name=names[index])
                process.start()
                return ChildRun(process, result)

            outcomes = run_all(names, self.find_places(), start, self.listener)
        return [_returned(overrides, outcome) for overrides, outcome in zip(job_overrides, outcomes, strict=True)]

    def _devices(self) -> list[str]:
        if self.config.trainer.accelerator == "cpu":
            return []
        return find_devices() if self.devices == AUTO else [str(device) for device in self.devices]

    def _context(self) -> Any:  # noqa: ANN401 - a multiprocessing context of this platform
        if self.as_command or "forkserver" not in multiprocessing.get_all_start_methods():
            return multiprocessing.get_context("spawn")
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_PRELOADED)
        return context


def _returned(overrides: Sequence[str], outcome: Outcome) -> JobReturn:
    returned = JobReturn(overrides=list(overrides))
    returned.status = JobStatus.FAILED if outcome.failed else JobStatus.COMPLETED
    returned.return_value = outcome.value
    return returned
