"""Runs the jobs of a sweep on a Slurm cluster through submitit: a wave is one job array, and the driver waits for it.

Hydra's own launcher of this kind raises for all of a wave when one job dies, and leaves the array behind when it does.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from divrec.errors import ConfigError
from hydra_plugins.divrec_plugins._interruption import children_hear_sigint
from hydra_plugins.divrec_plugins._plan import name_of
from hydra_plugins.divrec_plugins._pool import Listener, Silent
from hydra_plugins.divrec_plugins._queued import QueuedJob

if TYPE_CHECKING:
    from submitit import Executor, Job

logger = logging.getLogger(__name__)

_PROGRAMS = ("sbatch", "srun")
_SECONDS_BETWEEN_LOOKS = 1.0

# What submitit knows by one name on every cluster; all else is Slurm's and carries its name.
_SHARED = (
    "name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node", "stderr_to_stdout",
)  # fmt: skip


class SlurmLauncher(Launcher):
    """An array of jobs: one that dies, however it dies, is one failed run; none outlives an interrupted driver.

    Args:
        submitit_folder: for scripts, and for what each job printed; %j = its id.
        cluster: slurm, or local = processes of this machine, all at once: to try a sweep where there is no cluster.
        max_num_timeout: how often a job that its time limit or preemption stops is queued again.
        **settings: of conf/hydra/launcher/slurm.yaml, and whatever else submitit asks Slurm for.
    """

    def __init__(
        self, submitit_folder: str, cluster: str = "slurm", max_num_timeout: int = 0, **settings: object
    ) -> None:
        self.folder, self.cluster, self.max_num_timeout = submitit_folder, cluster, max_num_timeout
        self.settings: dict[str, Any] = {
            name: OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
            for name, value in settings.items()
        }
        self.listener: Listener = Silent()
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None
        self.task_function: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra."""
        self.config, self.hydra_context, self.task_function = config, hydra_context, task_function

    def check(self) -> None:
        """Refuse what could not run.

        Raises:
            ConfigError: submitit is not installed, this machine has no Slurm, or a setting is none of submitit's.
        """
        try:
            import hydra_plugins.hydra_submitit_launcher.submitit_launcher  # noqa: F401
        except ImportError as error:
            raise ConfigError(
                "jobs of a cluster need submitit",
                where="hydra/launcher=slurm",
                mend="Install it: pip install 'divrec[slurm]'.",
            ) from error
        if self.cluster == "slurm" and (absent := [name for name in _PROGRAMS if shutil.which(name) is None]):
            raise ConfigError(
                f"there is no Slurm on this machine: {' and '.join(absent)} are not on the PATH",
                where="hydra/launcher=slurm",
                mend="Start the sweep on a node that submits jobs, or try it here: hydra.launcher.cluster=local.",
            )
        try:
            self._executor()
        except (ValueError, NameError, TypeError, AssertionError, RuntimeError) as error:  # of submitit, which checks
            said = (str(error).splitlines() or [type(error).__name__])[0]
            mend = "Check the settings of hydra/launcher=slurm."
            raise ConfigError(said, where="hydra.launcher", mend=mend) from error

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Queue the jobs; returns when all have ended, and cancels them if it is interrupted."""
        self.check()
        from hydra_plugins.hydra_submitit_launcher.submitit_launcher import BaseSubmititLauncher

        task = BaseSubmititLauncher()  # what a job calls, and what it is queued again with
        task.setup(hydra_context=self.hydra_context, task_function=self.task_function, config=self.config)
        numbers = range(initial_job_idx, initial_job_idx + len(job_overrides))
        state = Singleton.get_state()
        given = [
            (list(overrides), "hydra.sweep.dir", number, f"job_id_for_{number}", state)
            for number, overrides in zip(numbers, job_overrides, strict=True)
        ]
        with children_hear_sigint():  # by which submitit cancels a job on this machine
            jobs: list[Job[JobReturn]] = self._executor().map_array(task, *zip(*given, strict=True))
        names = [name_of(each) or str(number) for number, each in zip(numbers, job_overrides, strict=True)]
        try:
            logger.info("queued: %s", ", ".join(job.job_id for job in jobs))
            return self._followed([QueuedJob(*each) for each in zip(names, jobs, job_overrides, strict=True)])
        except BaseException:
            logger.warning("cancelling the jobs that have not ended")
            for job in jobs:
                if not job.done():
                    job.cancel(check=False)
            raise

    def _followed(self, jobs: Sequence[QueuedJob]) -> list[JobReturn]:
        """What the jobs return, once all have ended; the listener hears of each as it begins and ends."""
        while waiting := [job for job in jobs if job.returned is None]:
            for job in waiting:
                job.look(self.listener)
            self.listener.tick()
            if any(job.returned is None for job in waiting):
                time.sleep(_SECONDS_BETWEEN_LOOKS)
        return [job.returned for job in jobs if job.returned is not None]

    def _executor(self) -> Executor:
        from submitit import AutoExecutor

        executor = AutoExecutor(self.folder, self.cluster, slurm_max_num_timeout=self.max_num_timeout)
        named = {name if name in _SHARED else f"slurm_{name}": value for name, value in self.settings.items()}
        executor.update_parameters(**named)
        return executor
