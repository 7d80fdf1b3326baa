"""Splits that ask for each user's last: leave-one-out, and users or items that training never sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ibis.expr.types import Table
from numpy.typing import NDArray

from divrec.data.events import Division, Events, Mask, Roles
from divrec.data.split import Windows
from divrec.errors import ConfigError
from divrec.schema import TEST, VALIDATION

_NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class LeaveOneOut:
    """Each user's last target is the test, the last but one the validation, all before it training.

    It leaks the future across users and is here for comparison with papers. Among events with one timestamp the last
    is the last of the seeded shuffle; the others at that timestamp are not seen as its history. Users with fewer than
    three targets are training only.
    """

    name: str = "leave_one_out"

    @property
    def is_cold(self) -> bool:
        """The core is that of the whole log."""
        return False

    def windows(self, events: Table) -> Windows | None:
        """There are none."""
        return None

    def divide(self, events: Events, roles: Roles, windows: Windows | None) -> Division:
        """By the place among the user's targets, counted from the end."""
        places_E = np.arange(len(events.items_E))
        from_end_E = _targets_from_end(events, roles)
        enough_U = _target_counts(events, roles) >= 3
        cut = {
            name: _of_user(events, np.where(from_end_E == place, places_E, _NEVER))
            for name, place in ((TEST, 1), (VALIDATION, 2))
        }
        history, targets = {}, {}
        for name, place in ((VALIDATION, 2), (TEST, 1)):
            at_U = np.where(enough_U, cut[name], _NEVER)
            targets[name] = (from_end_E == place) & enough_U[events.users_E]
            history[name] = _strictly_before(events, at_U)
        train_E = (places_E < cut[VALIDATION][events.users_E]) | ~enough_U[events.users_E]
        return Division(train_E, history, targets)


@dataclass(frozen=True)
class _Holdout:
    """Shares of the users or of the items that are kept for validation and test."""

    validation_share: float
    test_share: float

    def __post_init__(self) -> None:
        """Refuse shares that leave nothing."""
        shares = (self.validation_share, self.test_share)
        if not (min(shares) > 0 and sum(shares) < 1):
            raise ConfigError("must lie above 0 and leave some for training", where="data.split.*_share", got=shares)

    @property
    def is_cold(self) -> bool:
        """The core is that of the whole log."""
        return False

    def windows(self, events: Table) -> Windows | None:
        """There are none."""
        return None

    def _held(self, count: int) -> dict[str, Mask]:
        """Which of so many are kept for a split: the first, for numbers are a seeded shuffle."""
        tested = max(1, round(self.test_share * count))
        validated = max(1, round(self.validation_share * count))
        numbers = np.arange(count)
        return {TEST: numbers < tested, VALIDATION: (numbers >= tested) & (numbers < tested + validated)}


@dataclass(frozen=True)
class UserHoldout(_Holdout):
    """Some users are kept out of the training; of each the last moment with a target is asked for.

    Attributes:
        validation_share, test_share: of all users, in (0, 1). They are drawn by the preparation's seed.
    """

    validation_share: float = 0.1
    test_share: float = 0.1
    name: str = "user_holdout"

    def divide(self, events: Events, roles: Roles, windows: Windows | None) -> Division:
        """By user."""
        held_U = self._held(len(events.user_ids))
        places_E = np.arange(len(events.items_E))
        last_U = _of_user(events, np.where(_targets_from_end(events, roles) == 1, places_E, _NEVER))
        time_U = np.where(last_U < _NEVER, events.times_E[np.minimum(last_U, len(places_E) - 1)], _NEVER)
        at_last_E = (events.times_E == time_U[events.users_E]) & roles.is_target[events.kinds_E]
        history = {name: held[events.users_E] & _strictly_before(events, last_U) for name, held in held_U.items()}
        targets = {name: held[events.users_E] & at_last_E for name, held in held_U.items()}
        train_E = ~(held_U[TEST] | held_U[VALIDATION])[events.users_E]
        return Division(train_E, history, targets)


@dataclass(frozen=True)
class ItemHoldout(_Holdout):
    """Some items are new: training and histories hold none of their events; a user whose last item is one is asked.

    What `ColdItem` asks, for logs with order alone, or with too few newcomers in a window: new items are drawn by
    chance, so validation's are like test's and can choose among models. Like `LeaveOneOut` it leaks the future across
    users. The new items come first in the catalogue.

    Attributes:
        validation_share, test_share: of all items, in (0, 1). They are drawn by the preparation's seed. Larger = more
            targets, and fewer items that training knows.
    """

    validation_share: float = 0.1
    test_share: float = 0.2
    name: str = "item_holdout"

    def divide(self, events: Events, roles: Roles, windows: Windows | None) -> Division:
        """By item."""
        held_N = self._held(len(events.item_ids))
        is_known_E = ~(held_N[TEST] | held_N[VALIDATION])[events.items_E]
        places_E = np.arange(len(events.items_E))
        is_last_E = _targets_from_end(events, roles) == 1
        train_E, history, targets = is_known_E.copy(), {}, {}
        for name, held in held_N.items():
            targets[name] = is_last_E & held[events.items_E]
            asked_U = _of_user(events, np.where(targets[name], places_E, _NEVER))
            before_E = _strictly_before(events, asked_U)
            history[name] = is_known_E & before_E
            train_E &= before_E | (asked_U == _NEVER)[events.users_E]  # nothing later than what its user is asked for
        return Division(train_E, history, targets)


def _target_counts(events: Events, roles: Roles) -> NDArray[np.int64]:
    is_target_E = roles.is_target[events.kinds_E]
    return np.bincount(events.users_E[is_target_E], minlength=len(events.user_ids))


def _targets_from_end(events: Events, roles: Roles) -> NDArray[np.int64]:
    """For each target event its place among the user's, counted from the end (1 = the last); 0 for other events."""
    is_target_E = roles.is_target[events.kinds_E]
    so_far_E = np.cumsum(is_target_E)
    total_U = np.cumsum(_target_counts(events, roles))
    return np.where(is_target_E, total_U[events.users_E] - so_far_E + 1, 0)


def _of_user(events: Events, values_E: NDArray[np.int64]) -> NDArray[np.int64]:
    """The least value of each user."""
    least_U = np.full(len(events.user_ids), _NEVER)
    np.minimum.at(least_U, events.users_E, values_E)
    return least_U


def _strictly_before(events: Events, at_U: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Events that are earlier in time than the user's event number `at_U`; none where there is no such event."""
    exists_U = at_U < _NEVER
    time_U = np.where(exists_U, events.times_E[np.minimum(at_U, len(events.times_E) - 1)], np.iinfo(np.int64).min)
    return events.times_E < time_U[events.users_E]
