"""What is done at the door about what is wrong with a log: defaults that a config can change."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from divrec.data.sources.source import KEEP, MEND, REFUSE, SET_ASIDE, Rule
from divrec.errors import ConfigError

_WHERE = "data.preparation.validation"
_DAY = 86_400


@dataclass(frozen=True)
class Validation:
    """How strict the door is.

    Attributes:
        strict: every rule refuses the log.
        rules: key of a rule -> "refuse", "set_aside", "mend" or "keep", instead of its default. A key that starts with
            `catalogue_` is a rule of the catalogue; `python -m divrec.run.data --help` and docs/data.md list them.
        largest_share: a log of which one rule would set aside more than this share is refused: 0 = refuse any row,
            1 = never.
        as_of: ISO date; events later than it are in the future. None = today. Give one where a log has events of the
            future that you keep: the clock is no part of the fingerprint.
    """

    strict: bool = False
    rules: Mapping[str, str] = field(default_factory=dict)
    largest_share: float = 0.5
    as_of: str | None = None

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        strange = {key: action for key, action in self.rules.items() if action not in (REFUSE, SET_ASIDE, MEND, KEEP)}
        if strange:
            raise ConfigError("must be refuse, set_aside, mend or keep", where=f"{_WHERE}.rules", got=strange)
        if not 0 <= self.largest_share <= 1:
            raise ConfigError("must lie in [0, 1]", where=f"{_WHERE}.largest_share", got=self.largest_share)
        try:
            self.latest()
        except ValueError as error:
            raise ConfigError("must be an ISO date", where=f"{_WHERE}.as_of", got=self.as_of) from error

    def latest(self) -> int:
        """Seconds since the epoch after which an event lies in the future; a day of grace for time zones."""
        if self.as_of is None:
            return int(time.time()) + _DAY
        moment = datetime.fromisoformat(self.as_of)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) + _DAY

    def action(self, rule: Rule) -> str:
        """What is done about rows that break a rule.

        Raises:
            ConfigError: the rule cannot be mended, or is not one that can be kept.
        """
        if self.strict:
            return REFUSE
        action = self.rules.get(rule.key, rule.default) if rule.key else rule.default
        if (action == MEND and not rule.can_mend) or (action == KEEP and not rule.can_keep):
            possible = [REFUSE, SET_ASIDE, *([MEND] if rule.can_mend else []), *([KEEP] if rule.can_keep else [])]
            raise ConfigError(
                f"cannot be {action}",
                where=f"{_WHERE}.rules.{rule.key}",
                got=action,
                mend=f"Choose among {', '.join(possible)}.",
            )
        return action

    def refuse_unknown(self, rules: Sequence[Rule]) -> None:
        """Refuse keys that no rule has."""
        known = {rule.key for rule in rules if rule.key}
        strange = sorted(set(self.rules) - known)
        if strange:
            raise ConfigError(
                f"no such rule: {', '.join(strange)}",
                where=f"{_WHERE}.rules",
                mend=f"Choose among {', '.join(sorted(known))}.",
            )

    def plain(self) -> dict[str, Any]:
        """As plain JSON types, what differs from the defaults only."""
        facts = {
            "strict": self.strict,
            "rules": dict(sorted(self.rules.items())),
            "largest_share": self.largest_share,
            "as_of": self.as_of,
        }
        blank = Validation()
        return {key: value for key, value in facts.items() if value != getattr(blank, key)}
