"""The way along a front: what each step of diversity costs (marginal price), and where the way bends (knee).

Shapes: L stops of the way (the control first), R replicates. Measures are maximized: accuracy, diversity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from divrec.analysis.statistics import Floats, Interval, percentile_interval

WAY_SHARE = 0.8  # of the control's accuracy: the way is followed down to here


def knee(stops_L2: Floats) -> int | None:
    """The stop farthest above the straight line from the first to the last one, both measures scaled to [0, 1].

    There the price starts to rise (the idea of Satopaa et al. 2011). None where the way has fewer than three stops or
    lies nowhere above the line.
    """
    if len(stops_L2) < 3:
        return None
    start, end = stops_L2[0], stops_L2[-1]
    if not (end[1] > start[1] and end[0] < start[0]):
        return None
    kept = (stops_L2[:, 0] - end[0]) / (start[0] - end[0])
    gained = (stops_L2[:, 1] - start[1]) / (end[1] - start[1])
    height = kept + gained - 1
    best = int(np.argmax(height))
    return best if height[best] > 1e-9 else None


def price(before: Sequence[float], after: Sequence[float], before_R2: Floats, after_R2: Floats) -> Interval:
    """Accuracy lost for one unit of diversity gained between two stops; negative where accuracy rises too.

    Args:
        before: (accuracy, diversity) of the stop that one leaves.
        after: the same of the next one.
        before_R2: the same in each replicate.
        after_R2: and of the next stop, in the same replicates.

    Returns:
        The price with its interval. NaN where no diversity is gained; the ends are unknown where replicates leave it
        open (more than 2.5 % of them) whether any is gained, for then the price has no bound.
    """
    gained, lost = after[1] - before[1], before[0] - after[0]
    if not gained > 0:
        return Interval(float("nan"))
    gained_R, lost_R = after_R2[:, 1] - before_R2[:, 1], before_R2[:, 0] - after_R2[:, 0]
    if gained_R.size == 0 or np.mean(~(gained_R > 0)) > 0.025:
        return Interval(lost / gained)
    positive = gained_R > 0
    return percentile_interval(lost / gained, lost_R[positive] / gained_R[positive])
