"""Sends what was tracked offline: the runs by W&B's own command, then what each run read. Imports no W&B itself."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from divrec.tracking.facts import LINEAGE_FILE, SENT_FILE, Lineage

logger = logging.getLogger(__name__)

_AT_ONCE = 50  # folders named in one command


@dataclass(frozen=True)
class Sent:
    """What became of the runs.

    Attributes:
        runs: folders that reached the server now.
        failed: folders that did not, or whose lineage did not.
        before: number of folders that had been sent earlier.
    """

    runs: tuple[Path, ...]
    failed: tuple[Path, ...]
    before: int


def offline_runs(folder: Path) -> list[Path]:
    """W&B's folders of offline runs below a folder, each once (`latest-run` is a link to one of them)."""
    return sorted({path.resolve() for path in folder.rglob("offline-run-*") if path.is_dir()})


def is_sent(run: Path) -> bool:
    """Whether W&B's command has marked the run as sent."""
    return any(run.glob("*.wandb.synced"))


def upload(runs: Sequence[Path]) -> None:
    """Send runs by `wandb sync`; which of them arrived is read off its marks."""
    for start in range(0, len(runs), _AT_ONCE):
        chunk = [str(run) for run in runs[start : start + _AT_ONCE]]
        done = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", *chunk], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            logger.warning("wandb sync: %s", (done.stderr or done.stdout).strip()[-500:])


def send(
    folder: Path,
    send_lineage: Callable[[Lineage], None],
    send_runs: Callable[[Sequence[Path]], None],
) -> Sent:
    """Send every offline run below a folder that has not been sent; what fails is left for the next time.

    Args:
        folder: where to look, as outputs/.
        send_lineage: tells the server what a run that it has received read.
        send_runs: sends runs and marks those that arrived, as `upload` does.
    """
    runs = offline_runs(folder)
    waiting = [run for run in runs if not is_sent(run)]
    if waiting:
        send_runs(waiting)
    failed = {run for run in waiting if not is_sent(run)}
    for run in runs:
        if run not in failed and (run / LINEAGE_FILE).is_file() and not _sent_lineage(run, send_lineage):
            failed.add(run)
    arrived = tuple(run for run in waiting if is_sent(run))
    return Sent(arrived, tuple(sorted(failed)), len(runs) - len(waiting))


def _sent_lineage(run: Path, send_lineage: Callable[[Lineage], None]) -> bool:
    try:
        send_lineage(Lineage.read(run / LINEAGE_FILE))
    except Exception as error:
        # Whatever the network or the server says: the other runs are to be sent all the same.
        logger.warning("%s: what it read could not be sent (%s: %s)", run.name, type(error).__name__, error)
        return False
    (run / LINEAGE_FILE).rename(run / SENT_FILE)
    return True
