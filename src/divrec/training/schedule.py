"""How long a training lasts and how its learning rate moves. Budgets are counted in steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from divrec.errors import ConfigError, check_number


@dataclass(frozen=True)
class Schedule:
    """Length and learning rate of a training.

    With `patience` the training stops early on validation and keeps its best weights (a base); without, it runs its
    steps and keeps its last weights (controls and points: stopping early on NDCG would pick beta = 0 again).

    Attributes:
        steps: optimizer steps, at most.
        learning_rate: the peak rate.
        warmup: steps over which the rate rises from 0 to its peak.
        decay: `constant` after the warm-up, `linear` or `cosine` down to 0 at the last step.
        validate_every: steps between validations; null validates at the end only.
        patience: validations without a better value before the training stops; null never stops early.
    """

    steps: int
    learning_rate: float
    warmup: int = 0
    decay: Literal["constant", "linear", "cosine"] = "constant"
    validate_every: int | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        """Check the numbers at the door."""
        check_number("schedule.steps", self.steps, least=1, whole=True)
        check_number("schedule.learning_rate", self.learning_rate, above=0)
        check_number("schedule.warmup", self.warmup, least=0, whole=True)
        for name in ("validate_every", "patience"):
            if getattr(self, name) is not None:
                check_number(f"schedule.{name}", getattr(self, name), least=1, whole=True)
        if self.decay not in ("constant", "linear", "cosine"):
            raise ConfigError(
                "no such decay", where="schedule.decay", got=self.decay, mend="Use constant, linear or cosine."
            )
        if self.warmup > self.steps:
            raise ConfigError(f"must not exceed steps = {self.steps}", where="schedule.warmup", got=self.warmup)
        if self.patience is not None and self.validate_every is None:
            raise ConfigError(
                "stopping early needs validations",
                where="schedule.validate_every",
                got=None,
                mend="Set it to a number of steps, or patience to null.",
            )

    @property
    def stops_early(self) -> bool:
        """Whether validation decides when to stop and which weights to keep."""
        return self.patience is not None

    @property
    def interval(self) -> int:
        """Steps between validations."""
        return min(self.validate_every or self.steps, self.steps)

    def factor(self) -> Callable[[int], float]:
        """Step -> multiple of the peak rate."""

        def at(step: int) -> float:
            if step < self.warmup:
                return (step + 1) / self.warmup
            if self.decay == "constant":
                return 1.0
            progress = min((step - self.warmup) / max(self.steps - self.warmup, 1), 1.0)
            return 1 - progress if self.decay == "linear" else (1 + math.cos(math.pi * progress)) / 2

        return at
