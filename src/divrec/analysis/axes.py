"""The measures that a trade-off is drawn on: accuracy against one measure of diversity at a time, or two at once."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from divrec.errors import ConfigError, RecordError
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

    @property
    def name(self) -> str:
        """Name of the metric without k, as "gini"."""
        return self.metric.split("@")[0]

    def turned(self, value: float) -> float:
        """A record's value in the direction of this axis."""
        return 1 - value if self.inverted else value

    def turned_all(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Many values in the direction of this axis."""
        return 1 - values if self.inverted else values


# Name, label without "@k", short label, inverted, set-level. The first that was measured decides the operating point.
_KNOWN = (
    ("gini", "1 \u2212 Gini of exposure", "1 \u2212 Gini", True, True),
    ("coverage", "Catalogue coverage", "coverage", False, True),
    ("simpson", "Category diversity (Simpson)", "Simpson", False, False),
    ("ilad", "Average text distance (ILAD)", "ILAD", False, False),
    ("ilmd", "Minimum text distance (ILMD)", "ILMD", False, False),
    ("overlap", "1 \u2212 category overlap with history", "1 \u2212 overlap", True, False),
    ("effective_coverage", "Effective coverage", "eff. coverage", False, True),
    ("long_tail", "Long-tail share", "long tail", False, False),
    ("vendi", "Vendi score", "Vendi", False, False),
    ("eild", "Relevance-aware text distance (EILD)", "EILD", False, False),
    ("entropy", "Category entropy", "entropy", False, False),
    ("categories", "Distinct categories", "categories", False, False),
    ("subtopic_recall", "Subtopic recall", "subtopic recall", False, False),
    ("alpha_ndcg", "alpha-nDCG", "alpha-nDCG", False, False),
    ("unexpectedness", "Unexpectedness", "unexpected", False, False),
    ("serendipity", "Serendipity", "serendipity", False, False),
    ("popularity", "1 \u2212 popularity weight", "1 \u2212 popularity", True, False),
    ("calibration_js", "1 \u2212 miscalibration (JS)", "1 \u2212 JS", True, False),
)
DEFAULT_MEASURES = tuple(name for name, *_ in _KNOWN[:10])
_JOINT_PARTNERS = ("simpson", "ilad", "ilmd")
_ACCURACIES = {"ndcg": "NDCG", "recall": "Recall", "mrr": "MRR", "map": "MAP", "precision": "Precision"}


def accuracy_axis(k: int, name: str = ACCURACY) -> Axis:
    """The axis of accuracy of the delivered lists of k items.

    Raises:
        ConfigError: no such measure of accuracy.
    """
    if name not in _ACCURACIES:
        mend = f"Use one of {', '.join(_ACCURACIES)}."
        raise ConfigError("no such measure of accuracy", where="accuracy", got=name, mend=mend)
    label = f"{_ACCURACIES[name]}@{k}"
    return Axis(f"{name}@{k}", label, label)


def named_axes(k: int, names: Sequence[str]) -> list[Axis]:
    """The axes of diversity with these names, as "gini".

    Raises:
        ConfigError: a name is unknown.
    """
    known = {
        name: Axis(f"{name}@{k}", f"{label} @{k}", short, inverted=inverted, set_level=set_level)
        for name, label, short, inverted, set_level in _KNOWN
    }
    if unknown := [name for name in names if name not in known]:
        mend = f"Use some of {', '.join(known)}."
        raise ConfigError("no such measure of diversity", where="measures", got=unknown, mend=mend)
    return [known[name] for name in dict.fromkeys(names)]


def diversity_axes(control: RunRecord, k: int, names: Sequence[str] = DEFAULT_MEASURES) -> tuple[Axis, ...]:
    """Diversity measures that the control has on both splits; the first one decides the operating point.

    Args:
        control: record of the control.
        k: list size.
        names: the measures wanted, as "gini".

    Raises:
        ConfigError: a name is unknown.
        RecordError: the control has none of them.
    """
    wanted = named_axes(k, names)
    found = tuple(axis for axis in wanted if all(_has(control, split, axis.metric) for split in SPLITS))
    if not found:
        raise RecordError(
            "no diversity measure to draw a front on",
            where=f"record of {control.name}",
            got=sorted(control.metrics[TEST]),
            mend=f"Evaluate with at least one of {', '.join(axis.metric for axis in wanted)}.",
        )
    return found


def joint_axes(axes: Sequence[Axis]) -> tuple[tuple[Axis, Axis], ...]:
    """Pairs of diversity measures that are also judged at once: the first set-level one with each list-level one."""
    first = next((axis for axis in axes if axis.set_level), None)
    partners = [axis for axis in axes if axis.name in _JOINT_PARTNERS]
    return tuple((first, partner) for partner in partners) if first is not None else ()


def joint_key(axes: Sequence[Axis]) -> str:
    """Name of one or two axes of diversity in front.json, as "1-gini@10+ilmd@10"."""
    return "+".join(axis.key for axis in axes)


def list_size(control: RunRecord, accuracy: str = ACCURACY) -> int:
    """The list size k that the records were delivered with: the config's k, else the first of the control's metrics.

    Raises:
        RecordError: the control has no accuracy on one of the splits.
    """
    found = [int(match[1]) for name in control.metrics[TEST] if (match := re.fullmatch(rf"{accuracy}@(\d+)", name))]
    configured = control.config.get("k")
    k = configured if configured in found else next(iter(found), None)
    if not isinstance(k, int) or not all(_has(control, split, f"{accuracy}@{k}") for split in SPLITS):
        raise RecordError(
            f"no value of {accuracy}@k on both splits",
            where=f"record of {control.name}",
            got=control.metrics[TEST],
            mend=f"Evaluate the control with {accuracy} again.",
        )
    return k


def _has(record: RunRecord, split: str, metric: str) -> bool:
    return math.isfinite(record.metrics[split].get(metric, math.nan))
