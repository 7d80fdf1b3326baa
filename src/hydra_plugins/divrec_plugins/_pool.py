"""A pool of places: every place runs one job at a time, and none is idle while a job waits."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from typing import Any, Protocol


@dataclass(frozen=True)
class Place:
    """Where one job at a time runs.

    Attributes:
        name: what a reader sees, as "device 2".
        environment: variables of the processes there: CUDA_VISIBLE_DEVICES where it is a device.
    """

    name: str
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        value: what it returned, or the exception that ended it.
        failed: whether it failed.
        seconds: from its start to its end.
    """

    value: Any
    failed: bool
    seconds: float


class Running(Protocol):
    """A job under way."""

    @property
    def sentinel(self) -> int:
        """What becomes readable when the job ends."""

    def outcome(self) -> Outcome:
        """How it ended; called once, after the end."""

    def stop(self) -> None:
        """End it and all that it started, now."""


class Listener(Protocol):
    """Who wants to know how a sweep goes on."""

    def started(self, name: str, place: str) -> None:
        """A job has started."""

    def ended(self, name: str, outcome: Outcome) -> None:
        """A job has ended."""

    def tick(self) -> None:
        """About a second has passed."""


class Silent:
    """A listener that does nothing."""

    def started(self, name: str, place: str) -> None:
        """Nothing."""

    def ended(self, name: str, outcome: Outcome) -> None:
        """Nothing."""

    def tick(self) -> None:
        """Nothing."""


def first_to_end(running: Collection[Running]) -> list[Running]:
    """The jobs that have ended, after a second at most; there may be none."""
    ready = connection.wait([job.sentinel for job in running], timeout=1.0)
    return [job for job in running if job.sentinel in ready]


def run_all(
    names: Sequence[str],
    places: Sequence[Place],
    start: Callable[[int, Place], Running],
    listener: Listener,
    wait: Callable[[Collection[Running]], list[Running]] = first_to_end,
) -> list[Outcome]:
    """Run every job; a failing one stops no other. If this is interrupted, running jobs are stopped.

    Args:
        names: of the jobs, in the order in which they start.
        places: where they may run.
        start: starts the job of an index at a place.
        listener: told of every start and end.
        wait: waits for the end of any of the jobs given.

    Returns:
        The outcomes, in the order of `names`.
    """
    waiting, free = list(range(len(names)))[::-1], list(places)[::-1]
    running: dict[int, tuple[Running, Place]] = {}
    outcomes: dict[int, Outcome] = {}
    try:
        while waiting or running:
            while waiting and free:
                index, place = waiting.pop(), free.pop()
                running[index] = start(index, place), place
                listener.started(names[index], place.name)
            ended = wait([job for job, _ in running.values()])
            for index, (job, place) in list(running.items()):
                if job in ended:
                    outcomes[index] = job.outcome()
                    del running[index]
                    free.append(place)
                    listener.ended(names[index], outcomes[index])
            listener.tick()
    finally:
        for job, _ in running.values():
            job.stop()
    return [outcomes[index] for index in range(len(names))]
