"""Numbers and findings in words, the same in the terminal and in the report."""

from __future__ import annotations

import math

from divrec.analysis.axes import Axis
from divrec.analysis.comparison import Setting
from divrec.analysis.group_front import GroupFront
from divrec.analysis.statistics import Interval
from divrec.schema import TEST, VALIDATION

MINUS, DASH, SPACE = "\u2212", "\u2013", "\u00a0"


def number(value: float, digits: int = 4) -> str:
    """A value with a true minus sign; a dash for NaN."""
    return DASH if math.isnan(value) else f"{value:.{digits}f}".replace("-", MINUS)


def signed(value: float, digits: int = 4) -> str:
    """A difference with its sign, none where it rounds to zero; a dash for NaN."""
    if math.isnan(value):
        return DASH
    text = f"{value:+.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text[1:]


def change(interval: Interval, digits: int = 4) -> str:
    """A difference with its sign; a dash for NaN."""
    return signed(interval.estimate, digits)


def interval_text(interval: Interval, digits: int = 4) -> str:
    """The two ends of an interval, empty where it is unknown."""
    return f"{signed(interval.low, digits)} to {signed(interval.high, digits)}" if interval.known else ""


def change_text(interval: Interval, digits: int = 4, brackets: bool = True) -> str:
    """A difference and its interval, in brackets or after a comma."""
    ends = interval_text(interval, digits)
    if not ends:
        return change(interval, digits)
    return change(interval, digits) + (f" ({ends})" if brackets else f", {ends}")


def share_text(share: float) -> str:
    """A share as percent with one decimal."""
    return DASH if math.isnan(share) else f"{100 * share:.1f}{SPACE}%"


def interval_source(setting: Setting) -> str:
    """What the 95 % interval of a setting was taken over."""
    seeds = len(setting.points)
    return "paired over users" if seeds == 1 else f"paired over {seeds} seeds"


def headline(front: GroupFront) -> str:
    """What the operating point gains and costs on test, claiming no more than was measured."""
    axis, accuracy, chosen = front.axes[0], front.accuracy, front.operating
    if not front.gained:
        text = (
            f"Nothing is gained: on validation no setting that keeps 95 % of the control's {accuracy.label} "
            f"is more diverse than the control ({axis.label})."
        )
        return " ".join([text, *_nearest(front, axis)]).replace(" %", f"{SPACE}%")
    gain, cost = chosen.change(axis), chosen.change(accuracy)
    verb = "lowers" if gain.estimate < 0 else "raises"
    text = (
        f"{chosen.name} {verb} {axis.label} from {number(front.control.value(axis, TEST))} to "
        f"{number(chosen.value(axis, TEST))} ({change_text(gain, brackets=False)}) and keeps "
        f"{share_text(front.share(chosen))} of the control's {accuracy.label} "
        f"({change_text(cost, brackets=False)}); test split, 95 % intervals {interval_source(chosen)}."
    )
    return " ".join([text, *_caveats(front, axis)]).replace(" %", f"{SPACE}%")


def _nearest(front: GroupFront, axis: Axis) -> list[str]:
    """The most accurate of the more diverse settings, where none keeps enough accuracy."""
    own = front.control.value(axis, VALIDATION)
    diverse = [s for s in front.settings if s.first.selectable and s.value(axis, VALIDATION) > own]
    if not diverse:
        return []
    best = max(diverse, key=lambda setting: front.share(setting, VALIDATION))
    return [f"The nearest is {best.name}, which keeps {share_text(front.share(best, VALIDATION))} there."]


def _caveats(front: GroupFront, axis: Axis) -> list[str]:
    gain, cost = front.operating.change(axis), front.operating.change(front.accuracy)
    found = []
    if not gain.known:
        found.append("Without an interval this is no evidence of a gain.")
    elif gain.includes_zero:
        found.append("The gain in diversity cannot be told from chance.")
    elif gain.high < 0:
        found.append("On test it is less diverse than the control: the choice made on validation did not hold.")
    if cost.includes_zero:
        found.append("The change in accuracy cannot be told from chance.")
    if front.share(front.operating) < 0.95:
        found.append("On test it falls below the 95 % of accuracy that it kept on validation.")
    if front.better_baselines:
        found.append(f"On validation a baseline beats it on both measures: {', '.join(front.better_baselines)}.")
    return found
