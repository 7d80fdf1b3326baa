"""The measures that a trade-off is drawn on: accuracy against one measure of diversity at a time."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from divrec.errors import RecordError
from divrec.schema import SPLITS, TEST, RunRecord

ACCURACY = "ndcg"


@dataclass(frozen=True)
class Axis:
    """One measure, turned so that higher is always more diverse (or more accurate).

    Attributes:
        metric: name in the records, as "gini@10".
        label: what a reader sees.
        short: the same in the head of a narrow column.
        inverted: the record holds a value whose low end is the diverse one; the axis shows 1 - value.
        set_level: a property of all lists together, without a value per user.
    """

    metric: str
    label: str
    short: str
    inverted: bool = False
    set_level: bool = False

    @property
    def key(self) -> str:
        """Name of the axis in front.json: "1-gini@10" for an inverted metric, else the metric's own name."""
        return f"1-{self.metric}" if self.inverted else self.metric

    def turned(self, value: float) -> float:
        """A record's value in the direction of this axis."""
        return 1 - value if self.inverted else value


def accuracy_axis(k: int) -> Axis:
    """The axis of accuracy: NDCG of the delivered lists of k items."""
    return Axis(f"{ACCURACY}@{k}", f"NDCG@{k}", f"NDCG@{k}")


def diversity_axes(control: RunRecord, k: int) -> tuple[Axis, ...]:
    """Diversity measures that the control has on both splits; the first one decides the operating point.

    Args:
        control: record of the control.
        k: list size.

    Raises:
        RecordError: the control has none of them.
    """
    known = (
        Axis(f"gini@{k}", f"1 \u2212 Gini of exposure @{k}", "1 \u2212 Gini", inverted=True, set_level=True),
        Axis(f"coverage@{k}", f"Catalogue coverage @{k}", "coverage", set_level=True),
        Axis(f"simpson@{k}", f"Category diversity (Simpson) @{k}", "Simpson"),
        Axis(f"ilad@{k}", f"Average text distance (ILAD) @{k}", "ILAD"),
        Axis(f"ilmd@{k}", f"Minimum text distance (ILMD) @{k}", "ILMD"),
        Axis(f"overlap@{k}", f"1 \u2212 category overlap with history @{k}", "1 \u2212 overlap", inverted=True),
    )
    found = tuple(axis for axis in known if all(_has(control, split, axis.metric) for split in SPLITS))
    if not found:
        raise RecordError(
            "no diversity measure to draw a front on",
            where=f"record of {control.name}",
            got=sorted(control.metrics[TEST]),
            mend=f"Evaluate with at least one of {', '.join(axis.metric for axis in known)}.",
        )
    return found


def list_size(control: RunRecord) -> int:
    """The list size k that the records were delivered with: the config's k, else the first of the control's metrics.

    Raises:
        RecordError: the control has no NDCG on one of the splits.
    """
    found = [int(match[1]) for name in control.metrics[TEST] if (match := re.fullmatch(rf"{ACCURACY}@(\d+)", name))]
    configured = control.config.get("k")
    k = configured if configured in found else next(iter(found), None)
    if not isinstance(k, int) or not all(_has(control, split, f"{ACCURACY}@{k}") for split in SPLITS):
        raise RecordError(
            f"no value of {ACCURACY}@k on both splits",
            where=f"record of {control.name}",
            got=control.metrics[TEST],
            mend=f"Evaluate the control with {ACCURACY} again.",
        )
    return k


def _has(record: RunRecord, split: str, metric: str) -> bool:
    return math.isfinite(record.metrics[split].get(metric, math.nan))
