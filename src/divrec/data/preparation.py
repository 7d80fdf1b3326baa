"""The settings that turn a clean log into a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from divrec.data.categories import CategoryPath
from divrec.data.privacy import Privacy
from divrec.data.text import TextTemplate
from divrec.data.validation import Validation
from divrec.errors import ConfigError

INPUT, TARGET, BOTH, REMOVES = "input", "target", "both", "removes"
ROLES = (INPUT, TARGET, BOTH, REMOVES)
_WHERE = "data.preparation"


@dataclass(frozen=True)
class Preparation:
    """How a clean log becomes a dataset.

    Events of one user with one item at one timestamp are one event of the strongest kind. With `repeats: first` only
    the pair's first moment is kept, whatever its kinds: what somebody has viewed counts as seen and is not recommended
    again, so it can not be a later target either (metrics mask seen items). A kind that always comes first in a moment
    of its own (views, with exact times) is then the only one that is left; such a log wants it among the targets, or
    the timestamp of its sessions, as the simulator writes it.

    A kind's role says what its events do. "both" (the default): they are targets, and history afterwards. "input":
    history only (predict purchases from views). "target": something to predict that no model ever reads; its items
    count as touched. "removes" (returns, cancellations): they take the user's events with that item until then out,
    as if they had never been; in a split by time only where that is known already: a return in the test window takes
    nothing out of the training history.

    Attributes:
        core: every user keeps at least so many distinct items and every item so many distinct users, over the whole
            log; 1 keeps all, higher leaves fewer and busier ones.
        repeats: "first" keeps the first moment of each user-item pair (recommend what is new to the user), "keep" all
            moments (recommend repeat purchases too; evaluate with exclude_seen off).
        event_weights: kind -> weight in (0, 1], which is the label of a target and the share in the history weights;
            0 leaves events of the kind out; kinds that are not named go to quarantine.
        roles: kind -> role, for kinds whose role is not "both"; a kind that removes needs no weight.
        seed: of the order of ties in time, of users and of items.
        text: makes item texts out of catalogue fields; None = the catalogue has a column `text`.
        categories: takes one level of category paths; None = categories are names.
        validation: what is done about rows that are wrong.
        privacy: what of the log may come in.
    """

    core: int = 10
    repeats: str = "first"
    event_weights: Mapping[str, float] = field(default_factory=lambda: {"purchase": 1.0})
    roles: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    text: TextTemplate | None = None
    categories: CategoryPath | None = None
    validation: Validation = field(default_factory=Validation)
    privacy: Privacy = field(default_factory=Privacy)

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        if self.core < 1:
            raise ConfigError("must be at least 1", where=f"{_WHERE}.core", got=self.core)
        if self.repeats not in ("first", "keep"):
            raise ConfigError('must be "first" or "keep"', where=f"{_WHERE}.repeats", got=self.repeats)
        if not all(0 <= weight <= 1 for weight in self.event_weights.values()):
            raise ConfigError(
                "weights must lie in [0, 1]", where=f"{_WHERE}.event_weights", got=dict(self.event_weights)
            )
        self._check_roles()

    def _check_roles(self) -> None:
        where = f"{_WHERE}.roles"
        strange = {kind: role for kind, role in self.roles.items() if role not in ROLES}
        if strange:
            raise ConfigError(f"must be one of {', '.join(ROLES)}", where=where, got=strange)
        bare = [kind for kind, role in self.roles.items() if role != REMOVES and kind not in self.kinds]
        if bare:
            raise ConfigError("needs kinds of event with a weight above 0", where=where, got=bare)
        for wanted, what in ((self.targets, "can be a target"), (self.inputs, "can be read as history")):
            if not wanted:
                raise ConfigError(
                    f"no kind {what}", where=where, got=dict(self.roles), mend="Give a kind a weight and the role both."
                )

    @property
    def kinds(self) -> list[str]:
        """Kinds of event with a weight that the dataset holds, from the weakest to the strongest."""
        weighted = [kind for kind, weight in self.event_weights.items() if weight > 0 and kind not in self.removing]
        return sorted(weighted, key=lambda kind: (self.event_weights[kind], kind))

    @property
    def targets(self) -> list[str]:
        """Kinds whose events can be targets."""
        return [kind for kind in self.kinds if self.roles.get(kind, BOTH) in (TARGET, BOTH)]

    @property
    def inputs(self) -> list[str]:
        """Kinds whose events a model reads."""
        return [kind for kind in self.kinds if self.roles.get(kind, BOTH) in (INPUT, BOTH)]

    @property
    def removing(self) -> list[str]:
        """Kinds whose events take others out."""
        return sorted(kind for kind, role in self.roles.items() if role == REMOVES)

    @property
    def known_kinds(self) -> list[str]:
        """Kinds that may come in at the door."""
        return [*self.event_weights, *(kind for kind in self.removing if kind not in self.event_weights)]

    def plain(self) -> dict[str, Any]:
        """As plain JSON types, for the manifest and the fingerprint.

        What is off is absent, so that a new setting does not change the fingerprint of datasets that do not use it.
        """
        weights = {kind: float(self.event_weights[kind]) for kind in sorted(self.event_weights)}
        settings = {
            "core": self.core,
            "repeats": self.repeats,
            "event_weights": weights,
            "targets": sorted(self.targets),
            "seed": self.seed,
        }
        special = {kind: role for kind, role in sorted(self.roles.items()) if role in (TARGET, REMOVES)}
        optional = {
            "roles": special,
            "text": None if self.text is None else [self.text.template, self.text.max_tokens],
            "categories": None if self.categories is None else [self.categories.level, self.categories.separator],
            "validation": self.validation.plain(),
            "privacy": self.privacy.plain() if self.privacy != Privacy() else None,
        }
        return settings | {name: value for name, value in optional.items() if value}
