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
_NUMBERS = "numbers"
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
        the users. Those in several arms are left out and counted, as are users whom only the exposures or only the
        outcomes know.

    Raises:
        DataError: a column is missing, an arm is unknown, a time or value is missing or no number, or the logs tell
            time in different ways.
    """
    check_columns(assignments, "assignments", (USER_ID, ARM))
    check_columns(exposures, "exposures", (USER_ID, TIMESTAMP))
    check_columns(outcomes, "outcomes", (USER_ID, TIMESTAMP, VALUE))
    _check_kinds(exposures, outcomes)
    if unknown := sorted(set(assignments[ARM]) - set(arms), key=str):
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
        "outcomes without an assignment": outcomes.loc[~outcomes[USER_ID].isin(pairs[USER_ID]), USER_ID].nunique(),
    }
    for reason, count in left_out.items():
        if count and reason != "never exposed":
            _log.warning("%d users are left out: %s", count, reason)
    assigned = single.value_counts().reindex(list(arms), fill_value=0)
    return ExperimentUsers(
        table.reset_index(names=USER_ID), {str(arm): int(n) for arm, n in assigned.items()}, left_out
    )


def check_columns(table: pd.DataFrame, where: str, columns: Sequence[str]) -> None:
    """Refuse a log that lacks a column or a value in one of them.

    Raises:
        DataError: what is missing, and where.
    """
    if missing := [name for name in columns if name not in table.columns]:
        raise DataError("columns missing", where=where, got=missing, mend=f"It has {list(table.columns)}.")
    for name in columns:
        if count := int(table[name].isna().sum()):
            raise DataError(
                "values missing", where=f"{where}.{name}", got=count, mend="Fill them in, or leave those rows out."
            )


def _check_kinds(exposures: pd.DataFrame, outcomes: pd.DataFrame) -> None:
    """Refuse values that are no numbers, and times that cannot be compared."""
    if len(outcomes) and _kind(outcomes[VALUE]) != _NUMBERS:
        raise DataError(
            "values are numbers",
            where=f"outcomes.{VALUE}",
            got=_types(outcomes[VALUE]),
            mend="Convert the column by pandas.to_numeric.",
        )
    logs = {"exposures": exposures, "outcomes": outcomes}
    kinds = {name: _kind(table[TIMESTAMP]) for name, table in logs.items() if len(table)}
    for name, kind in kinds.items():
        if kind is None:
            raise DataError(
                "times are numbers or datetimes",
                where=f"{name}.{TIMESTAMP}",
                got=_types(logs[name][TIMESTAMP]),
                mend="Convert the column by pandas.to_datetime.",
            )
    if len(set(kinds.values())) > 1:
        raise DataError(
            "the logs tell time in different ways",
            where=TIMESTAMP,
            got=kinds,
            mend="Use numbers in all of them, or datetimes, all with a time zone or none.",
        )


def _kind(column: pd.Series) -> str | None:
    values = column.infer_objects()
    if pd.api.types.is_datetime64_any_dtype(values):
        return "datetimes" if values.dt.tz is None else "datetimes with a time zone"
    return _NUMBERS if pd.api.types.is_numeric_dtype(values) else None


def _types(column: pd.Series) -> list[str]:
    return sorted({type(value).__name__ for value in column})
