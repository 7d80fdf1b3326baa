"""From an experiment's logs to one row a user: who was assigned, who saw it, what came of it.

Assignments: user_id, arm. Exposures: user_id, timestamp (and item_id, for what was shown). Outcomes: user_id,
timestamp, value. Timestamps are numbers or datetimes, of one kind in all logs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from divrec.errors import DataError
from divrec.schema import TIMESTAMP, USER_ID

ARM, VALUE, OUTCOME, BEFORE = "arm", "value", "outcome", "before"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExperimentUsers:
    """The users that an analysis may count.

    Attributes:
        table: a row a user: user_id, arm, outcome (sum of values from the first exposure on), before (of the time
            before it).
        assigned: users by arm, exposed or not.
        left_out: reason -> users.
    """

    table: pd.DataFrame
    assigned: dict[str, int]
    left_out: dict[str, int]

    def arm(self, name: str, column: str = OUTCOME) -> pd.Series:
        """A column of one arm's users."""
        return self.table.loc[self.table[ARM] == name, column]


def experiment_users(
    assignments: pd.DataFrame, exposures: pd.DataFrame, outcomes: pd.DataFrame, arms: Sequence[str]
) -> ExperimentUsers:
    """Join the logs: users who were exposed, with what they did afterwards and before.

    Only exposed users can be affected; the others would dilute the effect. So exposure must be logged alike in all arms
    (the moment in which the arms would differ), which the sample ratio of the exposed users tells.

    Args:
        assignments: one row a user, or repeats of the same.
        exposures: rows of one user count from the first.
        outcomes: values to be summed up; users without any have 0.
        arms: the planned arms.

    Returns:
        the users. Those in several arms are left out and counted, as are exposures and outcomes of unknown users.

    Raises:
        DataError: a column is missing, an arm is unknown, or a time or value is missing.
    """
    _check(assignments, "assignments", (USER_ID, ARM))
    _check(exposures, "exposures", (USER_ID, TIMESTAMP))
    _check(outcomes, "outcomes", (USER_ID, TIMESTAMP, VALUE))
    if unknown := sorted(set(assignments[ARM]) - set(arms)):
        raise DataError("unknown arms", where="assignments.arm", got=unknown, mend=f"Planned: {list(arms)}")
    pairs = assignments[[USER_ID, ARM]].drop_duplicates()
    twice = pairs[USER_ID].duplicated(keep=False)
    single = pairs[~twice].set_index(USER_ID)[ARM]
    first = exposures.groupby(USER_ID)[TIMESTAMP].min()
    exposed = first[first.index.isin(single.index)]
    table = pd.DataFrame({ARM: single[exposed.index]})
    known = outcomes[outcomes[USER_ID].isin(table.index)]
    after = known[TIMESTAMP] >= known[USER_ID].map(exposed)
    for column, rows in ((OUTCOME, known[after]), (BEFORE, known[~after])):
        table[column] = rows.groupby(USER_ID)[VALUE].sum().reindex(table.index, fill_value=0).astype(float)
    left_out = {
        "in several arms": int(pairs.loc[twice, USER_ID].nunique()),
        "never exposed": int((~single.index.isin(first.index)).sum()),
        "exposed without an assignment": int((~first.index.isin(pairs[USER_ID])).sum()),
    }
    for reason, count in left_out.items():
        if count and reason != "never exposed":
            _log.warning("%d users are left out: %s", count, reason)
    assigned = single.value_counts().reindex(list(arms), fill_value=0)
    return ExperimentUsers(
        table.reset_index(names=USER_ID), {str(arm): int(n) for arm, n in assigned.items()}, left_out
    )


def _check(table: pd.DataFrame, where: str, columns: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in table.columns]:
        raise DataError("columns missing", where=where, got=missing)
    for name in columns:
        if table[name].isna().any():
            raise DataError("values missing", where=f"{where}.{name}", got=int(table[name].isna().sum()))
