"""Two processes of one file that train together, and the trainer of a case: for tests that compare them with one."""

from __future__ import annotations

import faulthandler
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from pytorch_lightning.strategies import Strategy

PATIENCE = 240  # seconds from one meeting to the next


class KeepAside(pl.Callback):
    """Copies what lies on disk when the fourth step is done: what a process that is killed there leaves behind."""

    def __init__(self, run: Path, aside: Path) -> None:
        self.run, self.aside = run, aside

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 4 and trainer.is_global_zero:
            shutil.copytree(self.run, self.aside)


def trainer_of(
    case: Mapping[str, Any], devices: int, together: Callable[[], Strategy], aside: tuple[Path, Path] | None
) -> Callable[..., pl.Trainer]:
    """What `fit` asks for: a trainer with the case's `settings`.

    Args:
        case: may hold `settings`, further arguments of the trainer.
        devices: processes.
        together: makes the strategy of several.
        aside: a run's folder, and where its state after four steps is kept.
    """

    def trainer(**given: Any) -> pl.Trainer:
        callbacks = [*given.pop("callbacks"), *([KeepAside(*aside)] if aside else [])]
        strategy = together() if devices > 1 else "auto"
        fixed = {"accelerator": "cpu", "devices": devices, "strategy": strategy, "log_every_n_steps": 1}
        return pl.Trainer(callbacks=callbacks, **given, **fixed, **case.get("settings", {}))

    return trainer


def meet(folder: Path, place: str = "meet") -> int:
    """Join the other process until both part, as `fit` does at its end.

    They find each other over a file: a port that was free when the two were started may not be so any more. A process
    that has not parted after `PATIENCE` says where it stands and ends: the two wait for each other.

    Args:
        folder: that both know.
        place: of the meeting; each has its own.

    Returns:
        This process's rank.
    """
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    torch.set_num_threads(1)
    rank = int(os.environ["LOCAL_RANK"])
    dist.init_process_group("gloo", init_method=f"file://{folder / place}", rank=rank, world_size=2)
    return rank


def run_twice(file: str, folder: Path) -> None:
    """Run a file as two processes, with a folder as its argument; both must end well."""
    shared = {"WORLD_SIZE": "2", "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **shared}
    command = [sys.executable, file, str(folder)]
    processes = [subprocess.Popen(command, env={**environment, "LOCAL_RANK": str(rank)}) for rank in range(2)]
    try:
        assert [process.wait() for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
