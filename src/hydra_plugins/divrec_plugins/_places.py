"""The places of a machine: its devices, or shares of its cores."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from divrec.errors import ConfigError, check_number
from hydra_plugins.divrec_plugins._pool import Place

VISIBLE = "CUDA_VISIBLE_DEVICES"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")  # OpenBLAS, which numpy and scipy bring, reads the former


def find_devices() -> list[str]:
    """NVIDIA devices that this process may use: those of CUDA_VISIBLE_DEVICES, else all that nvidia-smi lists."""
    if VISIBLE in os.environ:
        return [name.strip() for name in os.environ[VISIBLE].split(",") if name.strip() not in ("", "-1")]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    listed = subprocess.run(
        [program, "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True, check=False
    )
    return listed.stdout.split() if listed.returncode == 0 else []


@contextmanager
def share_of_the_cores(threads: int) -> Iterator[None]:
    """Programs that are started inside keep their linear algebra to so many threads; what the user has set stays.

    These variables are read as a library is loaded. The server that runs are forked from has loaded them all, so it has
    to be started inside; a run's own `torch.set_num_threads` reaches torch, and not the BLAS of numpy and scipy.
    """
    added = [name for name in _THREADS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, str(threads)))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def places(
    devices: Sequence[str], devices_per_run: int, runs_per_device: int, n_jobs: int, cores: int, threads: int
) -> list[Place]:
    """Where jobs run.

    Args:
        devices: ids of the devices; none = jobs share the cores.
        devices_per_run: devices of one job.
        runs_per_device: jobs that share a device; more than 1 only makes sense for small models.
        n_jobs: jobs at a time at most; -1 = as many as devices, or as cores with `threads` each.
        cores: of the machine.
        threads: of one job.

    Raises:
        ConfigError: a job needs more devices than there are, or a number makes no sense.
    """
    for key, number in (("devices_per_run", devices_per_run), ("runs_per_device", runs_per_device)):
        check_number(f"hydra.launcher.{key}", number, least=1, whole=True)
    if n_jobs != -1:
        check_number("hydra.launcher.n_jobs", n_jobs, least=1, whole=True)
    if not devices:
        count = n_jobs if n_jobs > 0 else max(1, cores // threads)
        return [Place(f"slot {number}") for number in range(count)]
    if devices_per_run > len(devices):
        raise ConfigError(
            f"a run needs {devices_per_run} devices and there are {len(devices)}",
            where="hydra.launcher.devices_per_run",
            got=list(devices),
            mend="Lower trainer.devices, or name more in hydra.launcher.devices.",
        )
    starts = range(0, len(devices) - devices_per_run + 1, devices_per_run)
    shares = [",".join(devices[start : start + devices_per_run]) for start in starts] * runs_per_device
    found = [Place(f"device {share}", {VISIBLE: share}) for share in shares]
    return found if n_jobs == -1 else found[:n_jobs]
