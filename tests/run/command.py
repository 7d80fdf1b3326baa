"""The command line as a user types it, in this process: importing torch anew for each command would take seconds."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """What a command left on the terminal, and its exit code."""

    code: int
    text: str


def command(main: Callable[[], None], *arguments: str) -> Answer:
    """Run an entry point with these arguments."""
    said = io.StringIO()
    code = 0
    environment = {"HYDRA_FULL_ERROR": "", "DIVREC_JOBS": "1"}
    argv = mock.patch.object(sys, "argv", [f"{main.__module__}.py", *arguments])
    with argv, mock.patch.dict(os.environ, environment), _logging_as_it_was(), redirect_stdout(said):
        os.environ.pop("HYDRA_FULL_ERROR")
        with redirect_stderr(said):
            try:
                main()
            except SystemExit as leaving:
                code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return Answer(code, said.getvalue())


def subprocess_command(module: str, *arguments: str, **environment: str) -> Answer:
    """Run `python -m MODULE ARGUMENTS` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return Answer(done.returncode, done.stdout + done.stderr)


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """Hydra configures logging for the process; the tests after this one want theirs."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
