"""A run in a process of its own: it dies alone, and never outlives the sweep that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import cloudpickle
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.errors import CompactHydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from divrec.storage import replacing
from hydra_plugins.divrec_plugins._pool import Outcome

CONSOLE_FILE = "console.log"

# What torchrun or a rank of another training left in the environment would make this run a rank of that one.
_RANK_VARIABLES = (
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK",
    "MASTER_ADDR", "MASTER_PORT", "PL_GLOBAL_SEED",
)  # fmt: skip


class RunProcessError(RuntimeError):
    """A run's process ended without saying how it went."""


@dataclass(frozen=True)
class Sweeping:
    """What all runs of a sweep share."""

    hydra_context: HydraContext
    config: DictConfig
    task_function: TaskFunction
    singletons: dict[Any, Any]
    as_command: bool


class ChildRun:
    """A run under way, seen from the driver.

    Args:
        process: started.
        result: where the process leaves what it returned.
    """

    def __init__(self, process: BaseProcess, result: Path) -> None:
        self._process, self._result, self._started = process, result, time.monotonic()

    @property
    def sentinel(self) -> int:
        """Readable once the process has ended."""
        return self._process.sentinel

    def outcome(self) -> Outcome:
        """What it returned, or how its process ended."""
        self._process.join()
        seconds = time.monotonic() - self._started
        if not self._result.is_file():
            self.stop()  # what it started may still hold the device
            return Outcome(RunProcessError(_how_it_ended(self._process.exitcode)), True, seconds)
        returned: JobReturn = cloudpickle.loads(self._result.read_bytes())
        self._result.unlink()
        return Outcome(returned._return_value, returned.status != JobStatus.COMPLETED, seconds)

    def stop(self) -> None:
        """Kill the process and all that it started: what is not finished goes on from its checkpoint."""
        assert self._process.pid is not None
        kill_group(self._process.pid)
        self._process.join()


def kill_group(leader: int) -> None:
    """Kill a process that leads a group, and the group; nothing where they are gone."""
    for kill in (os.killpg, os.kill):
        try:
            kill(leader, signal.SIGKILL)
        except ProcessLookupError:
            continue


def run_in_child(
    payload: bytes, overrides: Sequence[str], number: int, environment: dict[str, str], result: Path
) -> None:
    """What the child process does.

    Args:
        payload: a pickled `Sweeping`.
        overrides: of this run.
        number: of this run in the sweep.
        environment: variables to set.
        result: where to leave the pickled JobReturn.
    """
    os.setsid()  # Ctrl-C is for the driver alone, and the driver can kill the whole group
    threading.Thread(target=_die_with_the_driver, daemon=True).start()
    os.environ.update(environment)
    sweeping: Sweeping = cloudpickle.loads(payload)
    setup_globals()
    Singleton.set_state(sweeping.singletons)
    config = sweeping.hydra_context.config_loader.load_sweep_config(sweeping.config, list(overrides))
    with open_dict(config):
        config.hydra.job.id = f"{config.hydra.job.name}_{number}"
        config.hydra.job.num = number
    HydraConfig.instance().set_config(config)
    folder = Path(config.hydra.sweep.dir).resolve() / str(config.hydra.sweep.subdir)
    _speak_into(folder / CONSOLE_FILE)
    returned = _as_command(config, folder) if sweeping.as_command else _in_this_process(sweeping, config)
    if returned.status != JobStatus.COMPLETED and not isinstance(returned._return_value, CompactHydraException):
        traceback.print_exception(returned._return_value)
    with replacing(result) as temporary:
        temporary.write_bytes(_pickled(returned))


def command_of(config: DictConfig, folder: Path) -> list[str]:
    """The run as a command of its own: `python -m divrec.run.train` with the overrides of this point.

    Ranks that Lightning starts repeat this command and so train this very point; the sweep's own would train them all.
    """
    sources = config.hydra.runtime.config_sources
    directories = [source.path for source in sources if source.provider == "command-line"]
    return [
        sys.executable,
        "-m",
        "divrec.run.train",
        *(text for path in directories for text in ("--config-dir", path)),
        *config.hydra.overrides.task,
        *([] if config.get("group") else [f"group={folder.parent.name}"]),
        "hydra.mode=RUN",
        f'hydra.run.dir="{folder}"',
        f"hydra.job.name={config.hydra.job.name}",
    ]


def _as_command(config: DictConfig, folder: Path) -> JobReturn:
    environment = {key: value for key, value in os.environ.items() if key not in _RANK_VARIABLES}
    code = subprocess.run(command_of(config, folder), env=environment, check=False).returncode
    returned = JobReturn(overrides=list(config.hydra.overrides.task))
    returned.status = JobStatus.COMPLETED if code == 0 else JobStatus.FAILED
    returned.return_value = None if code == 0 else RunProcessError(_how_it_ended(code))
    return returned


def _in_this_process(sweeping: Sweeping, config: DictConfig) -> JobReturn:
    return run_job(
        hydra_context=sweeping.hydra_context,
        task_function=sweeping.task_function,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def _pickled(returned: JobReturn) -> bytes:
    try:
        return cloudpickle.dumps(returned)
    except Exception:  # whatever a third party's exception does when it is pickled: its text is what matters
        error = returned._return_value
        returned.return_value = RunProcessError(f"{type(error).__name__}: {error}")
        return cloudpickle.dumps(returned)


def _speak_into(file: Path) -> None:
    """Send all that this process and its children print to a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: PTH123, SIM115 - a descriptor
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: PTH123, SIM115


def _die_with_the_driver() -> None:
    driver = parent_process()
    assert driver is not None
    connection.wait([driver.sentinel])
    os.killpg(0, signal.SIGKILL)


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"its process was ended by {name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
    return f"its process ended with exit code {code}"


def tail(file: Path, lines: int = 5) -> list[str]:
    """The last lines of a text file that say anything; none where there is no file."""
    if not file.is_file():
        return []
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - 10_000))
        text = opened.read().decode("utf-8", errors="replace")
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
