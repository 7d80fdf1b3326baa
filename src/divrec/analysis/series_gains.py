"""What each series of a sweep gains, as small records: a row a series, measure and quantity; and contests of two sets.

Shapes: M measures, P settings, R replicates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from divrec.analysis.axes import Axis, joint_key
from divrec.analysis.axis_findings import drawn_pairs, measures, pairs
from divrec.analysis.comparison import Setting
from divrec.analysis.front import front_members, hypervolume
from divrec.analysis.front_intervals import SUMMARIES
from divrec.analysis.group_front import GroupFront, Series
from divrec.analysis.statistics import Floats, Interval, percentile_interval
from divrec.errors import RecordError
from divrec.schema import TEST, VALIDATION

COLUMNS = (
    "dataset",
    "fingerprint",
    "seeds",
    "group",
    "series",
    "kind",
    "settings",
    "measure",
    "quantity",
    "value",
    "low",
    "high",
)
CONTROL_VALUE, REACHES = "control", "reaches"


def gain_rows(front: GroupFront) -> pd.DataFrame:
    """Gains of every series over the control on test; its points are chosen on validation, the ends are 95 % intervals.

    Quantities are those of `SUMMARIES` in the measure's own unit ("mean" is over the band of 90 to 100 % of the
    control's accuracy), "reaches", the lowest share of the control's accuracy on the way, and, with an empty series,
    "control", its own value.

    Returns:
        Rows with `COLUMNS`.
    """
    rows: list[dict[str, object]] = []
    for axis in (front.accuracy, *front.axes):
        own = Interval(front.control.value(axis, TEST))
        rows.append(_row(front, None, axis.key, CONTROL_VALUE, own))
    for series in front.series:
        for key, gain in series.gains.items():
            rows += [_row(front, series, key, name, gain.intervals[name]) for name in SUMMARIES]
            rows.append(_row(front, series, key, REACHES, Interval(gain.band[TEST].reaches)))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def contest(
    ours: Sequence[Setting], theirs: Sequence[Setting], control: Setting, axes: tuple[Axis, ...]
) -> dict[str, Interval]:
    """Hypervolumes of two sets of settings in the same measures, and their difference on the same resampled users.

    Both are measured against one control, and the members of each front are chosen on validation.

    Args:
        ours: one set.
        theirs: the other; it may come from another sweep over the same users and seeds.
        control: whose accuracy and diversity are the reference.
        axes: accuracy first, then one measure of diversity or more.

    Returns:
        "ours", "theirs" and "difference" (ours less theirs), each with its 95 % interval on test.

    Raises:
        RecordError: the sets were not resampled alike.
    """
    own_RM = drawn_pairs([control], axes, TEST)
    volumes = [_volumes(side, control, own_RM, axes) for side in (ours, theirs)]
    (whole, drawn_R), (other_whole, other_R) = volumes
    if len(drawn_R) != len(other_R):
        raise RecordError("compared on other replicates", where=joint_key(axes[1:]), got=[len(drawn_R), len(other_R)])
    return {
        "ours": percentile_interval(whole, drawn_R),
        "theirs": percentile_interval(other_whole, other_R),
        "difference": percentile_interval(whole - other_whole, drawn_R - other_R),
    }


def _volumes(
    settings: Sequence[Setting], control: Setting, own_R1M: Floats | None, axes: tuple[Axis, ...]
) -> tuple[float, Floats]:
    """Hypervolume on test of the front that validation chooses, and in each replicate."""
    members = front_members(pairs(settings, axes, VALIDATION), measures(control, axes, VALIDATION))
    chosen = [setting for setting, kept in zip(settings, members, strict=True) if kept]
    own = measures(control, axes, TEST)
    if not chosen:
        return 0.0, np.zeros(0 if own_R1M is None else len(own_R1M))
    drawn_RPM = drawn_pairs(chosen, axes, TEST)
    if drawn_RPM is None or own_R1M is None or len(drawn_RPM) != len(own_R1M):
        raise RecordError("not resampled with the control", where=", ".join(setting.name for setting in chosen))
    volumes_R = [hypervolume(p_PM, own_M.tolist()) for p_PM, own_M in zip(drawn_RPM, own_R1M[:, 0], strict=True)]
    return hypervolume(pairs(chosen, axes, TEST), own), np.array(volumes_R)


def _row(front: GroupFront, series: Series | None, measure: str, quantity: str, found: Interval) -> dict[str, object]:
    data = front.control.first.record.data
    kind = "" if series is None else "trained" if series.trained else "re-ranked" if series.reranked else "interpolated"
    return {
        "dataset": data["name"],
        "fingerprint": data["fingerprint"],
        "seeds": len(front.control.points),
        "group": front.name,
        "series": "" if series is None else series.name,
        "kind": kind,
        "settings": 1 if series is None else len(series.settings),
        "measure": measure,
        "quantity": quantity,
        "value": found.estimate,
        "low": found.low if found.known else math.nan,
        "high": found.high if found.known else math.nan,
    }
