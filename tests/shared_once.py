"""What all processes of a test run share is made by the first that needs it."""

from __future__ import annotations

import fcntl
import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills once a test run, however many processes share the tests; leave it as it is.

    Args:
        factory: pytest's.
        name: of the folder; one maker's alone.
        make: called with the empty folder while others wait. Where it fails, they fail with what it said.
    """
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"once-{name}"
    ended = folder.with_suffix(".ended")  # holds what went wrong, if anything
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ended.exists():
            try:
                shutil.rmtree(folder, ignore_errors=True)  # of a maker that was killed
                folder.mkdir()
                make(folder)
            except BaseException:
                ended.write_text(traceback.format_exc(), encoding="utf-8")
                raise
            ended.touch()
    if wrong := ended.read_text(encoding="utf-8"):
        pytest.fail(f"another process could not make it:\n{wrong}")
    return folder
