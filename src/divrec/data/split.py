"""Splits of a log in time; `user_splits` has those by user."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import ibis
import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray

from divrec.data.events import Division, Events, Roles
from divrec.errors import ConfigError, DataError, check_number
from divrec.schema import SPLIT, SPLITS, TEST, TIMESTAMP, TRAIN, VALIDATION

DAY = 86_400
PARTS = (TRAIN, VALIDATION, TEST)
_WHERE = "data.split"


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

    @property
    def is_cold(self) -> bool:
        """Whether the core is that of the training window, and items that begin later are kept without one."""
        ...

    def windows(self, events: Table) -> Windows | None:
        """Where the windows lie in a log; None for splits that are not by time."""
        ...

    def divide(self, events: Events, roles: Roles, windows: Windows | None) -> Division:
        """Which events are training, history and targets."""
        ...


@dataclass(frozen=True)
class GlobalTime:
    """The same cut in time for everybody, with the windows by length, by date or by share.

    No training event is later than the first validation event, and none of those later than the first test event. Give
    one pair: days (whole days in UTC; the day of the last event is the last day of the test window, even where the log
    breaks off), start dates, or shares of the events (the cut falls between two timestamps, so that events with one
    timestamp stay together).

    Attributes:
        validation_days, test_days: length of the windows, at least 1. Longer windows: more targets, older histories.
        validation_start, test_start: first moment of the windows, ISO dates, UTC where they name no zone.
        validation_share, test_share: of all events, in (0, 1).
    """

    validation_days: int | None = None
    test_days: int | None = None
    name: str = "global_time"
    validation_start: str | None = None
    test_start: str | None = None
    validation_share: float | None = None
    test_share: float | None = None

    def __post_init__(self) -> None:
        """Refuse windows that make no sense."""
        given = [kind for kind in ("days", "start", "share") if any(v is not None for v in self._pair(kind))]
        if len(given) != 1 or any(value is None for value in self._pair(given[0])):
            raise ConfigError(
                "needs one pair: validation_days and test_days, or both starts, or both shares",
                where=_WHERE,
                got={key: value for key, value in dataclasses.asdict(self).items() if value is not None},
            )
        if given == ["days"]:
            check_number(f"{_WHERE}.validation_days", self.validation_days, least=1, whole=True)
            check_number(f"{_WHERE}.test_days", self.test_days, least=1, whole=True)
        if given == ["share"] and not (min(self._pair("share")) > 0 and sum(self._pair("share")) < 1):
            raise ConfigError(
                "must lie above 0 and leave a share for training", where=f"{_WHERE}.*_share", got=self._pair("share")
            )
        if given == ["start"] and _moment(self.validation_start) >= _moment(self.test_start):
            raise ConfigError(
                "must lie before test_start", where=f"{_WHERE}.validation_start", got=self.validation_start
            )

    @property
    def is_cold(self) -> bool:
        """The core is that of the whole log."""
        return False

    def windows(self, events: Table) -> Windows:
        """Where the windows lie in a log.

        Raises:
            DataError: the log is not longer than the two windows.
        """
        bounds = events.aggregate(first=events[TIMESTAMP].min(), last=events[TIMESTAMP].max()).to_pyarrow().to_pylist()
        first, last = bounds[0]["first"], bounds[0]["last"]
        end = (last // DAY + 1) * DAY
        if self.validation_days is not None and self.test_days is not None:
            test = end - self.test_days * DAY
            validation = test - self.validation_days * DAY
        elif self.validation_share is not None and self.test_share is not None:
            validation, test = _cuts(events, (self.validation_share, self.test_share))
        else:
            validation, test = _moment(self.validation_start), _moment(self.test_start)
        if first >= validation or last < test:
            length = f"{(end - first) / DAY:.1f} days of log"
            days = f"{(test - validation) / DAY:.4g} + {(end - test) / DAY:.4g} days of windows"
            what = "no event lies before the validation window" if first >= validation else "no event is left for test"
            raise DataError(
                f"the log is too short: {what}",
                where=_WHERE,
                got=f"{length} for {days}",
                mend="Shorten the windows, or move their starts.",
            )
        return Windows(validation, test, end)

    def divide(self, events: Events, roles: Roles, windows: Windows | None) -> Division:
        """By the part in which an event lies; what was removed by then is gone."""
        assert windows is not None
        return divide_in_time(events, roles, windows)

    def _pair(self, kind: str) -> tuple[Any, Any]:
        return getattr(self, f"validation_{kind}"), getattr(self, f"test_{kind}")


@dataclass(frozen=True)
class ColdItem:
    """A global cut in time that keeps what is new: items first seen in a window have a text and no events.

    The core is that of the training window alone, and items that begin later stay however few events they have. So
    they are candidates that a model can only know by their text.

    Attributes:
        validation_days, test_days: length of the windows, at least 1.
        only_new: targets of a window are its new items alone (how good is a model on what nobody has touched yet);
            False = all, as with `GlobalTime`.
    """

    validation_days: int
    test_days: int
    only_new: bool = True
    name: str = "cold_item"

    def __post_init__(self) -> None:
        """Refuse windows without a day."""
        GlobalTime(self.validation_days, self.test_days)

    @property
    def is_cold(self) -> bool:
        """The core is that of the training window."""
        return True

    def windows(self, events: Table) -> Windows:
        """As those of `GlobalTime`."""
        return GlobalTime(self.validation_days, self.test_days).windows(events)

    def divide(self, events: Events, roles: Roles, windows: Windows | None) -> Division:
        """As `GlobalTime`, with targets among the new items of the window."""
        assert windows is not None
        division = divide_in_time(events, roles, windows)
        if not self.only_new:
            return division
        first_N = np.full(len(events.item_ids), np.iinfo(np.int64).max)
        np.minimum.at(first_N, events.items_E, events.times_E)
        starts = {VALIDATION: windows.validation, TEST: windows.test}
        targets = {name: mask & (first_N[events.items_E] >= starts[name]) for name, mask in division.targets_E.items()}
        return Division(division.train_E, division.history_E, targets)


def divide_in_time(events: Events, roles: Roles, windows: Windows) -> Division:
    """Training before the windows, history before each window, targets inside; what was removed by then is gone."""
    parts_E = np.searchsorted([windows.validation, windows.test], events.times_E, side="right")
    history, targets = {}, {}
    for name in SPLITS:
        part = PARTS.index(name)
        history[name] = (parts_E < part) & (events.removed_E >= part)
        targets[name] = (parts_E == part) & roles.is_target[events.kinds_E] & (events.removed_E > part)
    return Division((parts_E == 0) & (events.removed_E > 0), history, targets)


def label(events: Table, windows: Windows) -> Table:
    """Events with a column `split`: the position in `PARTS`, so that a smaller number is never later in time."""
    return events.mutate(**{SPLIT: part_of(events[TIMESTAMP], windows)})


def part_of(time: ibis.expr.types.IntegerValue, windows: Windows) -> ibis.expr.types.IntegerValue:
    """Position in `PARTS` of moments."""
    return ibis.cases((time < windows.validation, 0), (time < windows.test, 1), else_=2).cast("int8")


def plain(split: Split) -> dict[str, Any]:
    """The settings of a split as plain JSON types; what is not given is absent."""
    fields = dataclasses.asdict(split)  # type: ignore[call-overload]
    return {name: value for name, value in fields.items() if value is not None}


def _moment(date: str | None) -> int:
    try:
        moment = datetime.fromisoformat(date or "")
    except ValueError as error:
        raise ConfigError(
            "must be an ISO date", where=f"{_WHERE}.*_start", got=date, mend="Example: 2024-03-01."
        ) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _cuts(events: Table, shares: tuple[float, float]) -> tuple[int, int]:
    """Timestamps at which the windows begin, so that they hold about their shares of the events."""
    counted = events.group_by(TIMESTAMP).agg(events=events.count()).to_pyarrow().sort_by(TIMESTAMP)
    times: NDArray[np.int64] = counted.column(TIMESTAMP).to_numpy()
    before = np.cumsum(counted.column("events").to_numpy()) - counted.column("events").to_numpy()
    total = before[-1] + counted.column("events")[-1].as_py()
    starts = np.searchsorted(before, [total * (1 - sum(shares)), total * (1 - shares[1])])
    validation, test = times[np.minimum(starts, len(times) - 1)]
    return int(validation), int(test)
