"""Numbers and findings in words, in the terminal and in the report; every text stands in texts/LANGUAGE.json."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from divrec.analysis.axes import Axis
from divrec.analysis.comparison import Setting
from divrec.analysis.front import OPERATING_SHARE
from divrec.analysis.group_front import GroupFront
from divrec.analysis.statistics import Interval
from divrec.errors import ConfigError
from divrec.schema import TEST, VALIDATION

LANGUAGES = ("en", "zh")
MINUS, DASH, SPACE = "\u2212", "\u2013", "\u00a0"


def number(value: float, digits: int = 4) -> str:
    """A value with a true minus sign; a dash for NaN."""
    return DASH if math.isnan(value) else f"{value:.{digits}f}".replace("-", MINUS)


def decimals(step: float) -> int:
    """Fewest decimals that write a step of a scale as it is: 2 for .25, where one would make even marks look uneven."""
    return next((d for d in range(16) if math.isclose(round(step, d), step, rel_tol=1e-6)), 16)


def signed(value: float, digits: int = 4) -> str:
    """A difference with its sign, none where it rounds to zero; a dash for NaN."""
    if math.isnan(value):
        return DASH
    text = f"{value:+.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text[1:]


def change(interval: Interval, digits: int = 4) -> str:
    """A difference with its sign; a dash for NaN."""
    return signed(interval.estimate, digits)


def share_text(share: float) -> str:
    """A share as percent with one decimal."""
    return DASH if math.isnan(share) else f"{100 * share:.1f}{SPACE}%"


def config_text(value: object) -> str:
    """A config's value, numbers with four digits that count."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Words:
    """The texts of one language, and the phrases that are made of them.

    Attributes:
        language: "en" or "zh".
        texts: text by key.
    """

    language: str
    texts: Mapping[str, str]

    def __getitem__(self, key: str) -> str:
        """The text of a key; an unknown key is a mistake in the program."""
        return self.texts[key]

    def label(self, axis: Axis) -> str:
        """Name of a measure, with k."""
        text = self.texts.get(f"measure.{axis.name}")
        return axis.label if text is None else f"{text} @{axis.metric.partition('@')[2]}"

    def short(self, axis: Axis) -> str:
        """Name of a measure in the head of a narrow column."""
        return self.texts.get(f"short.{axis.name}", axis.short)

    def interval(self, interval: Interval, digits: int = 4) -> str:
        """The two ends of an interval, empty where it is unknown or both are zero as they would be written."""
        if not interval.known or round(interval.low, digits) == round(interval.high, digits) == 0:
            return ""
        return f"{signed(interval.low, digits)} {self['to']} {signed(interval.high, digits)}"

    def change(self, interval: Interval, digits: int = 4, brackets: bool = True) -> str:
        """A difference and its interval, in brackets or after a comma."""
        ends = self.interval(interval, digits)
        if not ends:
            return change(interval, digits)
        return change(interval, digits) + (f" ({ends})" if brackets else f", {ends}")

    def interval_source(self, setting: Setting) -> str:
        """What the 95 % interval of a setting was taken over."""
        seeds = len(setting.points)
        return self["paired.users"] if seeds == 1 else self["paired.seeds"].format(seeds=seeds)

    def headline(self, front: GroupFront) -> str:
        """What the operating point of the first axis gains and costs on test."""
        return self.verdict(front, front.axes[0])

    def verdict(self, front: GroupFront, axis: Axis) -> str:
        """What an axis's operating point gains and costs on test, claiming no more than was measured."""
        chosen, accuracy = front.findings[axis.key].operating, self.label(front.accuracy)
        if chosen is front.control:
            text = self["headline.none"].format(accuracy=accuracy, axis=self.label(axis))
            return self["joiner"].join([text, *self._nearest(front, axis)]).replace(" %", f"{SPACE}%")
        gain, cost = chosen.change(axis), chosen.change(front.accuracy)
        digits = front.digits(axis)
        text = self["headline.gain"].format(
            name=chosen.name,
            verb=self["lowers" if gain.estimate < 0 else "raises"],
            axis=self.label(axis),
            before=number(front.control.value(axis, TEST), digits),
            after=number(chosen.value(axis, TEST), digits),
            gain=self.change(gain, digits, brackets=False),
            share=share_text(front.share(chosen)),
            accuracy=accuracy,
            cost=self.change(cost, front.digits(front.accuracy), brackets=False),
            source=self.interval_source(chosen),
        )
        return self["joiner"].join([text, *self._caveats(front, axis)]).replace(" %", f"{SPACE}%")

    def _nearest(self, front: GroupFront, axis: Axis) -> list[str]:
        """The most accurate of the more diverse settings, where none keeps enough accuracy."""
        own = front.control.value(axis, VALIDATION)
        diverse = [s for s in front.settings if s.first.selectable and s.value(axis, VALIDATION) > own]
        if not diverse:
            return []
        best = max(diverse, key=lambda setting: front.share(setting, VALIDATION))
        return [self["headline.nearest"].format(name=best.name, share=share_text(front.share(best, VALIDATION)))]

    def _caveats(self, front: GroupFront, axis: Axis) -> list[str]:
        chosen = front.findings[axis.key].operating
        gain, cost = chosen.change(axis), chosen.change(front.accuracy)
        found = []
        if not gain.known:
            found.append(self["caveat.no_interval"])
        elif gain.includes_zero or gain.rounds_to_zero(front.digits(axis)):
            found.append(self["caveat.gain_by_chance"])
        elif gain.high < 0:
            found.append(self["caveat.less_diverse"])
        if cost.includes_zero or (cost.known and cost.rounds_to_zero(front.digits(front.accuracy))):
            found.append(self["caveat.cost_by_chance"])
        if front.share(chosen) < OPERATING_SHARE:
            found.append(self["caveat.below"])
        if front.better_baselines and axis is front.axes[0]:
            found.append(self["caveat.baseline"].format(names=", ".join(front.better_baselines)))
        return found


@cache
def words_in(language: str) -> Words:
    """The wording of a language.

    Raises:
        ConfigError: there is no such language.
    """
    if language not in LANGUAGES:
        mend = f"Use one of {', '.join(LANGUAGES)}."
        raise ConfigError("no such language", where="report.language", got=language, mend=mend)
    text = (files("divrec.analysis") / "texts" / f"{language}.json").read_text(encoding="utf-8")
    return Words(language, json.loads(text))


ENGLISH = words_in("en")
