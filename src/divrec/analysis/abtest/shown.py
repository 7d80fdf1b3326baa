"""Diversity of what each arm was shown: set-level values at the same number of users, with intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from divrec.analysis.abtest.logs import ARM
from divrec.analysis.significance import set_level_values
from divrec.analysis.statistics import LEVEL, list_matrix
from divrec.errors import DataError
from divrec.schema import ITEM_ID, USER_ID

MEASURES = ("coverage", "gini", "effective_coverage")


def diversity_shown(
    exposures: pd.DataFrame,
    users: pd.DataFrame,
    arms: Sequence[str],
    items: int,
    generator: np.random.Generator,
    resamples: int = 200,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Coverage, exposure Gini and effective coverage by arm.

    Larger audiences cover more items, so every arm is measured on random subsets, without replacement, of half as many
    users as the smallest arm has. The interval says how much the value moves between such subsets.

    Args:
        exposures: rows user_id, item_id; an item shown twice to a user counts twice.
        users: rows user_id, arm.
        arms: which arms.
        items: size of the catalogue.
        generator: source of randomness.
        resamples: number of subsets.
        level: of the percentile intervals.

    Returns:
        rows arm, measure, value, low, high, users (of a subset).

    Raises:
        DataError: an arm has fewer than two users.
    """
    members = {arm: pd.Index(users.loc[users[ARM] == arm, USER_ID]) for arm in arms}
    size = min(len(index) for index in members.values()) // 2
    if size < 1:
        raise DataError("an arm has fewer than two users", where="arms", got={a: len(i) for a, i in members.items()})
    rows = []
    for arm, index in members.items():
        lists = list_matrix(exposures[[USER_ID, ITEM_ID]], index)
        drawn = []
        for _ in range(resamples):
            chosen = generator.permutation(len(index))[:size]
            drawn.append(np.asarray(lists[chosen].sum(0), dtype=np.int64))
        values = set_level_values(np.stack(drawn), items)
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)
        table = pd.DataFrame({"measure": MEASURES, "value": values.mean(0), "low": low, "high": high, "users": size})
        rows.append(table.assign(arm=arm))
    return pd.concat(rows, ignore_index=True)[["arm", "measure", "value", "low", "high", "users"]]
