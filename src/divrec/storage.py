"""Files that are whole or not there, and folders with one writer: everything divrec writes goes through here."""

from __future__ import annotations

import fcntl
import json
import logging
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


@contextmanager
def held(lock: Path, refusal: Exception) -> Iterator[None]:
    """Hold a lock file while the block runs; it goes with the process that holds it, however that ends.

    Processes that this one starts do not hold it. Where a disk knows no locks, a warning says so and the block runs.

    Args:
        lock: the file; it stays, empty, in a folder that has to be there.
        refusal: what is raised if another one holds it.
    """
    with lock.open("a") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise refusal from error
        except OSError as error:
            logger.warning("%s cannot be locked (%s): see to it yourself that nobody else writes there", lock, error)
        yield


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; move it there when the block ends without an error.

    Works for a file and, where `target` does not exist yet, for a folder.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        temporary = holder / target.name
        yield temporary
        temporary.replace(target)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file whole."""
    with replacing(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, content: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Write a JSON file whole, keys in the order given; a number that JSON cannot hold becomes null."""
    write_text(target, json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _finite(content: Any) -> Any:  # noqa: ANN401
    if isinstance(content, dict):
        return {str(key): _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
