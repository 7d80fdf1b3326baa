"""A comparison of two runs for the terminal, 80 columns wide at most."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import pandas as pd
from rich.table import Table

ALPHA = 0.05
_DIGITS = 4
_CAPTIONS = {
    1: "One run each: interval and p say what other users would show of these two models, not what another seed would.",
    2: "2 seeds: interval and p hold for other seeds too, for which the spread of two is stretched 12.7-fold: only "
    "differences far beyond it are told from chance, and no star is no sign of equality. Train more seeds.",
}


def comparison_table(table: pd.DataFrame, title: str) -> Table:
    """The comparison for the terminal.

    A star marks what the corrected p tells from chance at .05, never where the interval holds 0.

    Args:
        table: of `compare_runs`.
        title: of the table.
    """
    seeds = int(table["seeds"].iloc[0])
    caption = _CAPTIONS.get(seeds, f"{seeds} seeds: interval and p hold for other seeds and other users.")
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    shown.caption, shown.caption_justify = f"{caption} * = p (Holm) < {ALPHA:g}", "left"
    for column in ("metric", "a", "b", "a - b", "95 % interval", "p (Holm)", "effect"):
        shown.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    for row in table.to_dict("records"):
        interval = "" if math.isnan(row["low"]) else f"[{_number(row['low'], '+')}, {_number(row['high'], '+')}]"
        p = "" if math.isnan(row["p_holm"]) else f"{row['p_holm']:.4f}{' *' if _starred(row) else '  '}"
        effect = "" if math.isnan(row["effect"]) else f"{row['effect']:+.2f}"
        values = _number(row["first"]), _number(row["second"]), _number(row["difference"], "+")
        shown.add_row(row["metric"], *values, interval, p, effect)
    return shown


def _starred(row: dict[Hashable, Any]) -> bool:
    return bool(row["p_holm"] < ALPHA and not row["low"] <= 0 <= row["high"])


def _number(value: float, sign: str = "") -> str:
    """Four decimals below 10, one fewer for each digit more, so that columns keep their width."""
    whole = int(math.log10(abs(value))) if math.isfinite(value) and abs(value) >= 10 else 0
    return f"{value:{sign}.{max(0, _DIGITS - whole)}f}"
