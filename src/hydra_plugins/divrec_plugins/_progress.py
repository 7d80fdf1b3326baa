"""How a sweep goes on: a live table where there is a terminal, one line an ended run where there is none."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from hydra.errors import CompactHydraException
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from divrec.schema import RECORD_FILE
from hydra_plugins.divrec_plugins._best import BestSoFar
from hydra_plugins.divrec_plugins._pool import Outcome
from hydra_plugins.divrec_plugins._worker import CONSOLE_FILE, tail

logger = logging.getLogger(__name__)

_LOG_FILES = (CONSOLE_FILE, "run.log")


class Progress:
    """Follows the runs of a sweep; a context manager that shows the live table while it is open.

    Args:
        folder: the sweep's.
        console: where the table goes; None = the terminal that this program writes to, if it is one.
    """

    def __init__(self, folder: Path, console: Console | None = None) -> None:
        self.folder = folder
        self.failures: dict[str, str] = {}
        self._expected: list[str] = []
        self._running: dict[str, tuple[str, float]] = {}
        self._seconds: list[float] = []
        self._widest = 1
        self._best = BestSoFar()
        self._console = console or Console()
        self._live: Live | None = None

    def expect(self, names: Sequence[str]) -> None:
        """Runs that belong to this start of the sweep, beside those named before."""
        self._expected += [name for name in names if name not in self._expected]
        for name in names:
            self._best.read(self.folder / name)

    def started(self, name: str, place: str) -> None:
        """A run has started."""
        self._running[name] = (place, time.monotonic())
        self._widest = max(self._widest, len(self._running))
        self.tick()

    def ended(self, name: str, outcome: Outcome) -> None:
        """A run has ended: one line, or a failure with its last lines."""
        self._running.pop(name, None)
        if outcome.failed:
            self.failed(name, outcome.value)
            return
        self._seconds.append(outcome.seconds)
        self._best.read(self.folder / name)
        if self._live is None:
            logger.info("%s done in %s: %s", name, _duration(outcome.seconds), self.summary())
        self.tick()

    def failed(self, name: str, error: object) -> None:
        """Report a failure, once a run, with the last lines that the run said."""
        if name in self.failures:
            return
        self.failures[name] = str(error).splitlines()[0] if str(error) else type(error).__name__
        said: list[str] = []
        if not isinstance(error, CompactHydraException):  # a user's mistake says all there is to say
            said = self._said(name, 5)
        shown = error if isinstance(error, CompactHydraException) else f"{type(error).__name__}: {error}"
        logger.error("%s failed: %s%s", name, shown, "".join(f"\n    | {line}" for line in said))

    def _said(self, name: str, lines: int) -> list[str]:
        """The last lines that a run said; a job of a cluster has no console of its own here, but its log."""
        files = [self.folder / name / file for file in _LOG_FILES]
        return tail(next((file for file in files if file.is_file()), files[0]), lines)

    def new_wave(self) -> None:
        """The runs that follow take another time than those before."""
        self._seconds.clear()

    def tick(self) -> None:
        """Refresh the table."""
        if self._live is not None:
            self._live.update(self.table(), refresh=True)

    @property
    def done(self) -> int:
        """Expected runs with a record, less those that failed: one that is refused has the record of other settings."""
        names = [name for name in self._expected if name not in self.failures]
        return sum((self.folder / name / RECORD_FILE).is_file() for name in names)

    def summary(self) -> str:
        """Counts, time left and the best point so far, in one line."""
        parts = [f"{self.done} of {len(self._expected)} done"]
        if self._running:
            parts.append(f"{len(self._running)} running")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        left = self.seconds_left()
        if left:
            parts.append(f"about {_duration(left)} left")
        return "; ".join([", ".join(parts), *filter(None, [self._best.words()])])

    def seconds_left(self) -> float:
        """Runs that have not ended x the mean of those that have, over as many places as were seen; 0 if unknown."""
        remaining = len(self._expected) - self.done - len(self.failures)
        if not self._seconds or remaining <= 0:
            return 0.0
        mean = sum(self._seconds) / len(self._seconds)
        elapsed = sum(min(mean, time.monotonic() - begun) for _, begun in self._running.values())
        return max(0.0, remaining * mean - elapsed) / self._widest

    def table(self) -> Group:
        """What a terminal shows: running runs with their last line, failures, and the summary below."""
        table = Table(box=None, pad_edge=False, expand=False)
        for title in ("run", "where", "for", "says"):
            table.add_column(title, no_wrap=True, overflow="ellipsis")
        for name, (place, begun) in self._running.items():
            last = self._said(name, 1)
            table.add_row(name, place, _duration(time.monotonic() - begun), Text(last[0] if last else ""))
        for name, reason in self.failures.items():
            table.add_row(name, "failed", "", Text(reason), style="red")
        return Group(table, Text(f"{self.folder.name}: {self.summary()}"))

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
            _let_logging_follow_stdout()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            _let_logging_follow_stdout()


def _let_logging_follow_stdout() -> None:
    """The live table stands in for stdout, so that lines appear above it: handlers hold on to the one they know."""
    for handler in logging.getLogger().handlers:
        if type(handler) is logging.StreamHandler:
            stream: Any = sys.stdout
            handler.setStream(stream)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
