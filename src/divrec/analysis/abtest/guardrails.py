"""Metrics that must not get worse: no harm has to be shown, not merely harm not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scipy import stats

from divrec.analysis.abtest.effects import Effect
from divrec.errors import ConfigError

SAFE, HARMED, UNDECIDED = "safe", "harmed", "undecided"


@dataclass(frozen=True)
class Guardrail:
    """What is guarded.

    Attributes:
        margin: loss that can be borne, positive, in the metric's unit.
        higher_is_better: whether a loss is a fall (True) or a rise (as of a latency).
    """

    margin: float
    higher_is_better: bool = True

    def __post_init__(self) -> None:
        """Refuse a margin of nothing: no number of users could show it."""
        if not self.margin > 0:
            raise ConfigError("a margin is positive", where="guardrail.margin", got=self.margin)


def judge_guardrails(
    effects: Mapping[str, Effect], guardrails: Mapping[str, Guardrail], alpha: float = 0.05
) -> dict[str, str]:
    """Verdict on each guarded metric: "safe", "harmed" or "undecided".

    Safe: a loss of the margin or more is refuted at alpha (one-sided non-inferiority test). A release needs all of them
    safe, so no correction is due for that. Harmed: some loss is shown, at alpha over the number of guardrails
    (Bonferroni), and safety is not. Undecided: neither; more users are needed.

    Args:
        effects: by metric.
        guardrails: by metric.
        alpha: rate of false verdicts.

    Raises:
        ConfigError: a guarded metric was not measured.
    """
    if missing := sorted(guardrails.keys() - effects.keys()):
        raise ConfigError("guarded metrics without an effect", where="guardrails", got=missing)
    return {name: _judge(effects[name], guardrail, alpha, len(guardrails)) for name, guardrail in guardrails.items()}


def _judge(effect: Effect, guardrail: Guardrail, alpha: float, family: int) -> str:
    gained = effect.difference.estimate * (1 if guardrail.higher_is_better else -1)
    error = effect.standard_error
    if error == 0:
        return SAFE if gained > -guardrail.margin else HARMED
    if stats.norm.sf((gained + guardrail.margin) / error) < alpha:
        return SAFE
    return HARMED if stats.norm.cdf(gained / error) < alpha / family else UNDECIDED
