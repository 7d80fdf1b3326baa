"""Which arm a user is in: a pure function of the experiment's name and the user's id, the same wherever it is asked."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping

from divrec.errors import ConfigError

_BYTES = 8


class Assignment:
    """Deterministic assignment of users to arms.

    The hash (BLAKE2b of the experiment's name and the user's id) is a number in [0, 1) that falls into one of the arms'
    intervals, laid out in the order of `shares`. So a server needs no table, other experiments are independent, and an
    experiment that only moves the border between its last arm and the rest keeps everyone else where they are.

    Args:
        experiment: its name; another name draws anew.
        shares: arm -> share of the users, summing to at most 1; the rest of the users are in no arm.

    Raises:
        ConfigError: no arm, a share that is not positive, or more than all users.
    """

    def __init__(self, experiment: str, shares: Mapping[str, float]) -> None:
        if not experiment:
            raise ConfigError("an experiment has a name", where="experiment", got=experiment)
        if not shares or not all(share > 0 and math.isfinite(share) for share in shares.values()):
            raise ConfigError("every arm has a positive share of the users", where="shares", got=dict(shares))
        if math.fsum(shares.values()) > 1 + 1e-9:
            raise ConfigError("arms share at most all users", where="shares", got=dict(shares))
        self.experiment = experiment
        self.shares = dict(shares)
        self._borders = list(itertools.accumulate(shares.values()))
        if abs(self._borders[-1] - 1) <= 1e-9:
            self._borders[-1] = 1.0

    def arm(self, user_id: str) -> str | None:
        """The user's arm; None = in no arm."""
        place = position(self.experiment, user_id)
        return next((arm for arm, border in zip(self.shares, self._borders, strict=True) if place < border), None)


def position(experiment: str, user_id: str) -> float:
    """Where a user's hash falls in [0, 1); uniform over users and independent between experiments."""
    digest = hashlib.blake2b(user_id.encode(), digest_size=_BYTES, key=_key(experiment)).digest()
    # 53 bits, what a float holds exactly: rounding all 64 could give 1.0
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def _key(experiment: str) -> bytes:
    return hashlib.blake2b(experiment.encode(), digest_size=32).digest()
