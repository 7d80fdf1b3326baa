"""The plain cells that the report's tables are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

from divrec.analysis.statistics import Interval
from divrec.analysis.wording import Words, change


@dataclass(frozen=True)
class Cell:
    """A table's cell: text, the value to sort by, a smaller second line, and a CSS class."""

    text: str
    order: float | str = ""
    detail: str = ""
    style: str = ""


def interval_cell(interval: Interval, words: Words, digits: int = 4) -> Cell:
    """A difference over its interval, colored where the interval leaves out zero and the difference can be read."""
    plain = not interval.known or interval.includes_zero or interval.rounds_to_zero(digits)
    style = "" if plain else "up" if interval.estimate > 0 else "down"
    return Cell(change(interval, digits), sortable(interval.estimate), words.interval(interval, digits), style)


def sortable(value: float) -> float | str:
    """A value to sort by; empty for NaN."""
    return "" if math.isnan(value) else value
