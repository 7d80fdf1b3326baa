"""Progress bars of loading and encoding: where somebody watches, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial


def quiet_without_terminal() -> None:
    """No progress bars of transformers in log files."""
    from transformers.utils import logging as transformers_logging

    if not has_terminal():
        transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def quiet_unpacking() -> Iterator[None]:
    """No progress bar of GGUF files in log files: it is tqdm's own, which transformers' switch does not reach."""
    from transformers import modeling_gguf_pytorch_utils as unpacking

    bar = getattr(unpacking, "tqdm", None)
    if bar is None or has_terminal():
        yield
        return
    unpacking.tqdm = partial(bar, disable=True)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        unpacking.tqdm = bar  # type: ignore[attr-defined]


def has_terminal() -> bool:
    """Whether somebody watches."""
    return sys.stderr.isatty()
