"""Which findings hold on every measure of diversity, and which on some only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from divrec.analysis.axes import joint_key
from divrec.analysis.group_front import GroupFront, Series
from divrec.analysis.statistics import Interval, percentile_interval
from divrec.schema import TEST

GAINS, BEATS, SHIPS = "gains", "beats", "ships"
_JOINT_DIGITS = 3  # of a mean of measures divided by the control's


@dataclass(frozen=True)
class Conclusion:
    """One claim, judged on each measure alone and on pairs of measures at once.

    Attributes:
        kind: "gains": the series is more diverse than the control at equal accuracy (mean gain over the band);
            "beats": its mean gain is larger than the rival's; "ships": the operating point is more diverse than the
            control.
        subject: name of the series or the setting.
        rival: name of the series that it is compared with; empty for the control.
        differences: key of the axis (or of two joint ones) -> the difference that decides, with its interval on test.
        digits: decimals with which it is written, by the same key; 9 where it is absent.
    """

    kind: str
    subject: str
    rival: str
    differences: dict[str, Interval]
    digits: Mapping[str, int] = field(default_factory=dict)

    def verdict(self, key: str) -> int:
        """1 where the claim holds, -1 where the opposite does, 0 where chance, ignorance or float noise decides."""
        interval = self.differences[key]
        if not interval.known or interval.includes_zero or interval.rounds_to_zero(self.digits.get(key, 9)):
            return 0
        return 1 if interval.low > 0 else -1

    @property
    def holds(self) -> tuple[str, ...]:
        """Keys of the measures on which the claim holds."""
        return tuple(key for key in self.differences if self.verdict(key) > 0)

    @property
    def everywhere(self) -> bool:
        """Whether it holds on every measure."""
        return len(self.holds) == len(self.differences)


def conclusions(front: GroupFront) -> tuple[Conclusion, ...]:
    """The operating point, each series against the control, and each way of training against each re-ranker.

    Series that do nothing, and re-rankers on other models than the control, are not compared with each other.
    """
    found = []
    digits = {axis.key: front.digits(axis) - 1 for axis in front.axes}
    digits |= {joint_key(axes): _JOINT_DIGITS for axes in front.joints}
    if front.gained:
        changes = {axis.key: front.operating.change(axis) for axis in front.axes}
        found.append(Conclusion(SHIPS, front.operating.name, "", changes, digits))
    for series in front.series:
        gains = {key: gain.intervals["mean"] for key, gain in series.gains.items()}
        found.append(Conclusion(GAINS, series.name, "", gains, digits))
    trained = [series for series in front.series if not series.reranked and not series.no_effect]
    for series in trained:
        found += [
            Conclusion(BEATS, series.name, rival.name, _against(series, rival, front), digits)
            for rival in _rerankers(front)
        ]
    return tuple(found)


def _rerankers(front: GroupFront) -> Sequence[Series]:
    tail = f" on {front.control.name}"
    return [series for series in front.series if series.reranked and series.name.endswith(tail)]


def _against(series: Series, rival: Series, front: GroupFront) -> dict[str, Interval]:
    keys = [*(axis.key for axis in front.axes), *(joint_key(axes) for axes in front.joints)]
    differences = {}
    for key in keys:
        mine, theirs = series.gains[key], rival.gains[key]
        estimate = mine.band[TEST].mean - theirs.band[TEST].mean
        drawn = None if mine.means_R is None or theirs.means_R is None else mine.means_R - theirs.means_R
        differences[key] = percentile_interval(estimate, np.empty(0) if drawn is None else drawn)
    return differences
