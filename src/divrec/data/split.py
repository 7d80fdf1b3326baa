"""Splits of a log in time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import ibis
from ibis.expr.types import Table

from divrec.errors import ConfigError, DataError
from divrec.schema import SPLIT, TEST, TIMESTAMP, TRAIN, VALIDATION

DAY = 86_400
PARTS = (TRAIN, VALIDATION, TEST)


@dataclass(frozen=True)
class Windows:
    """Where the windows lie, in seconds since the epoch; each holds its start and not its end.

    Attributes:
        validation: start of the validation window; all before is training.
        test: start of the test window, and end of the validation window.
        end: end of the test window.
    """

    validation: int
    test: int
    end: int

    def bounds(self, split: str) -> tuple[str, str]:
        """Start and end of "validation" or "test" as ISO dates with time, UTC."""
        start, end = {VALIDATION: (self.validation, self.test), TEST: (self.test, self.end)}[split]
        return datetime.fromtimestamp(start, UTC).isoformat(), datetime.fromtimestamp(end, UTC).isoformat()


class Split(Protocol):
    """Says which events are training, validation and test. A dataclass: its fields are part of the fingerprint."""

    @property
    def name(self) -> str:
        """Name of the kind of split."""
        ...

    def windows(self, events: Table) -> Windows:
        """Where the windows lie in a log."""
        ...


@dataclass(frozen=True)
class GlobalTime:
    """The same cut in time for everybody: test = the last days of the log, validation = the days before.

    No training event is later than the first validation event, and none of those later than the first test event. Days
    are whole days in UTC; the day of the last event is the last day of the test window, even where the log breaks off.

    Attributes:
        validation_days: length of the validation window, at least 1.
        test_days: length of the test window, at least 1. Longer windows: more targets, older histories.
    """

    validation_days: int
    test_days: int
    name: str = "global_time"

    def __post_init__(self) -> None:
        """Refuse windows without a day."""
        for key in ("validation_days", "test_days"):
            if getattr(self, key) < 1:
                raise ConfigError("must be at least 1", where=f"data.split.{key}", got=getattr(self, key))

    def windows(self, events: Table) -> Windows:
        """Where the windows lie in a log.

        Raises:
            DataError: the log is not longer than the two windows.
        """
        bounds = events.aggregate(first=events[TIMESTAMP].min(), last=events[TIMESTAMP].max()).to_pyarrow().to_pylist()
        first, last = bounds[0]["first"], bounds[0]["last"]
        end = (last // DAY + 1) * DAY
        test = end - self.test_days * DAY
        validation = test - self.validation_days * DAY
        if first >= validation:
            length = f"{(end - first) / DAY:.1f} days of log"
            raise DataError(
                "the log is too short: no event lies before the validation window",
                where="data.split",
                got=f"{length} for {self.validation_days} + {self.test_days} days of windows",
                mend="Shorten validation_days and test_days.",
            )
        return Windows(validation, test, end)


def label(events: Table, windows: Windows) -> Table:
    """Events with a column `split`: the position in `PARTS`, so that a smaller number is never later in time."""
    time = events[TIMESTAMP]
    part = ibis.cases((time < windows.validation, 0), (time < windows.test, 1), else_=2)
    return events.mutate(**{SPLIT: part.cast("int8")})
