"""The settings that turn a clean log into a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from divrec.errors import ConfigError


@dataclass(frozen=True)
class Preparation:
    """How a clean log becomes a dataset.

    Events of one user with one item at one timestamp are one event of the strongest kind. With `repeats: first` only
    the pair's first moment is kept, whatever its kinds: what somebody has viewed counts as seen and is not recommended
    again, so it can not be a later target either (metrics mask seen items). A kind that always comes first in a moment
    of its own (views, with exact times) is then the only one that is left; such a log wants it among the targets, or
    the timestamp of its sessions, as the simulator writes it.

    Attributes:
        core: every user keeps at least so many distinct items and every item so many distinct users, over the whole
            log; 1 keeps all, higher leaves fewer and busier ones.
        repeats: "first" keeps the first moment of each user-item pair (recommend what is new to the user), "keep" all
            moments (recommend repeat purchases too; evaluate with exclude_seen off).
        event_weights: kind -> weight in (0, 1], which is the label of a target and the share in the history weights;
            0 leaves events of the kind out; kinds that are not named go to quarantine.
        targets: kinds whose events can be targets.
        seed: of the order of ties in time, of users and of items.
    """

    core: int = 10
    repeats: str = "first"
    event_weights: Mapping[str, float] = field(default_factory=lambda: {"purchase": 1.0})
    targets: Sequence[str] = ("purchase",)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        where = "data.preparation"
        if self.core < 1:
            raise ConfigError("must be at least 1", where=f"{where}.core", got=self.core)
        if self.repeats not in ("first", "keep"):
            raise ConfigError('must be "first" or "keep"', where=f"{where}.repeats", got=self.repeats)
        if not all(0 <= weight <= 1 for weight in self.event_weights.values()):
            raise ConfigError(
                "weights must lie in [0, 1]", where=f"{where}.event_weights", got=dict(self.event_weights)
            )
        strange = [kind for kind in self.targets if kind not in self.kinds]
        if strange or not self.targets:
            raise ConfigError(
                "needs kinds of event with a weight above 0",
                where=f"{where}.targets",
                got=list(self.targets),
                mend=f"Choose among {', '.join(self.kinds) or 'event_weights'}.",
            )

    @property
    def kinds(self) -> list[str]:
        """Kinds of event with a weight, from the weakest to the strongest."""
        weighted = [kind for kind, weight in self.event_weights.items() if weight > 0]
        return sorted(weighted, key=lambda kind: (self.event_weights[kind], kind))

    def plain(self) -> dict[str, Any]:
        """As plain JSON types, for the manifest and the fingerprint."""
        weights = {kind: float(self.event_weights[kind]) for kind in sorted(self.event_weights)}
        return {
            "core": self.core,
            "repeats": self.repeats,
            "event_weights": weights,
            "targets": sorted(self.targets),
            "seed": self.seed,
        }
