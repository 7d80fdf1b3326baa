"""What ends a sweep from outside: Ctrl-C, and SIGTERM from kill, timeout, systemd or a cluster's scheduler."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM came; whatever lets go at Ctrl-C lets go at this, too."""


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """What a shell says of a program that a signal ended: 128 + the signal's number."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Inside, SIGTERM raises `Terminated`; afterwards it means what it meant before.

    Only the main thread may say so; in another one nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def children_hear_sigint() -> Iterator[None]:
    """Processes that are started inside do not inherit that SIGINT is ignored, as nohup and background jobs have it.

    Only the main thread may say so; in another one nothing changes.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if not ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
