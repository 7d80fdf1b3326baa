"""Two runs, or two settings over the same seeds, metric by metric: difference, interval, corrected p, effect size.

Shapes: S seeds, U users, M metrics.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from divrec.analysis.comparison_rows import Row, per_user_rows, row, set_level_rows
from divrec.analysis.records import read_record, read_users
from divrec.analysis.rulers import differing_rulers, measured_with
from divrec.analysis.significance import SET_LEVEL, holm
from divrec.analysis.statistics import Interval
from divrec.analysis.trial import Trial
from divrec.errors import ConfigError, RecordError
from divrec.schema import SPLIT, USER_ID, RunRecord

_BY_LISTS = re.compile(rf"({'|'.join(SET_LEVEL)})@\d+")
_VALUE_ALONE = "auc_pooled"  # counts over all users' scores, which no file keeps by user
_log = logging.getLogger(__name__)


def compare_runs(first: Sequence[Path], second: Sequence[Path], trial: Trial | None = None) -> pd.DataFrame:
    """Compare two points, or two settings over seeds, on the users that all of them have.

    The difference is first minus second, averaged over seeds. With one run each, its interval comes from resampled
    users and p from exchanging the two within users: they say what other users would have shown of these two trained
    models, not what another seed would. With several seeds both come from the spread of seeds and of users
    (`divrec.analysis.seeds_and_users`) and speak of the settings. p_holm is corrected over all rows.

    Runs that were measured with other frozen vectors or categories are compared without the metrics that read them; a
    warning names those.

    Args:
        first: folders of the first setting, one a seed.
        second: folders of the second, in the order of the same seeds. One run each may differ in the seed.
        trial: how it is made.

    Returns:
        A row a metric: metric, first, second, difference, low, high, p, p_holm, effect, effect_low, effect_high, users,
        seeds. Set-level metrics have no effect size; auc_pooled has values alone and is no member of the family.

    Raises:
        ConfigError: the settings have not as many folders each, or not the same seeds, each once; or a metric is
            unknown, or measured with other rulers.
        RecordError: a file is missing or broken, the data differ, or no user or no metric is in all points.
    """
    trial = trial or Trial()
    if not first or len(first) != len(second):
        raise ConfigError("as many runs as in b, one a seed", where="a", got=f"{len(first)} and {len(second)}")
    records = [read_record(folder) for folder in (*first, *second)]
    _check_data(records, first[0])
    _check_seeds(records[: len(first)], records[len(first) :])
    tables = [read_users(folder, trial.split).set_index(USER_ID).drop(columns=SPLIT) for folder in (*first, *second)]
    users = _common_users(tables, first[0])
    values_alone = [_VALUE_ALONE] if all(len(users) == len(table) for table in tables) else []
    metrics, shown, alone = _family(_metrics(tables, records, values_alone, trial.split), records, trial)
    values = [table.loc[users, metrics].to_numpy(np.float64) for table in tables]
    rows = per_user_rows(np.stack(values[: len(first)]), np.stack(values[len(first) :]), metrics, trial)
    for k in sorted({int(name.partition("@")[2]) for name in shown}):
        found = set_level_rows((first, second), users, k, int(records[0].data["items"]), trial)
        rows += [each for each in found if each["metric"] in shown]
    rows += [_values_row(name, records, len(users), trial.split) for name in alone]
    table = pd.DataFrame(rows).assign(seeds=len(first))
    table.insert(7, "p_holm", holm(table["p"].tolist()))
    return table


def _check_data(records: Sequence[RunRecord], where: Path) -> None:
    for key, values in (
        ("data", [record.data.get("fingerprint") for record in records]),
        ("exclude_seen", [record.exclude_seen for record in records]),
    ):
        if len(set(values)) > 1:
            raise RecordError(f"the points differ in {key}", where=str(where), got=values)


def _check_seeds(first: Sequence[RunRecord], second: Sequence[RunRecord]) -> None:
    """Refuse several runs that are no pairs of one seed each; one run each may be of any seeds."""
    if len(first) == 1:
        return
    seeds = {"a": [record.seed for record in first], "b": [record.seed for record in second]}
    for side, own in seeds.items():
        if len(set(own)) < len(own):
            raise ConfigError("a seed is there twice", where=side, got=own, mend="Give one run of each seed.")
    if seeds["a"] != seeds["b"]:
        raise ConfigError(
            "not the seeds of a in the same order", where="b", got=seeds["b"], mend=f"Seeds of a: {seeds['a']}."
        )


def _common_users(tables: Sequence[pd.DataFrame], where: Path) -> pd.Index:
    users = tables[0].index
    for table in tables[1:]:
        users = users.intersection(table.index, sort=False)
    if users.empty:
        raise RecordError("the points have no user in common", where=str(where), mend="Evaluate them again.")
    return users


def _metrics(
    tables: Sequence[pd.DataFrame], records: Sequence[RunRecord], values_alone: list[str], split: str
) -> tuple[list[str], list[str], list[str]]:
    """What all points have: metrics by user, by lists, and those with nothing but values."""
    by_user = [name for name in tables[0].columns if all(name in table.columns for table in tables)]
    everywhere = [name for name in records[0].metrics[split] if all(name in each.metrics[split] for each in records)]
    by_lists = [name for name in everywhere if _BY_LISTS.fullmatch(name)]
    return by_user, by_lists, [name for name in everywhere if name in values_alone]


def _family(
    kinds: tuple[list[str], list[str], list[str]], records: Sequence[RunRecord], trial: Trial
) -> tuple[list[str], list[str], list[str]]:
    """The metrics that were asked for and that one ruler has measured, kind by kind."""
    known = [name for names in kinds for name in names]
    if unknown := [name for name in trial.metrics if name not in known]:
        raise ConfigError("not in both points", where="family", got=unknown, mend=f"Choose of {known}")
    rulers = differing_rulers(records)
    apart = [name for name in known if measured_with(name) & rulers]
    reason = f"the points were measured with other {' and '.join(sorted(rulers))} (another encoder?)"
    if asked := [name for name in trial.metrics if name in apart]:
        raise ConfigError(f"do not compare: {reason}", where="family", got=asked, mend="Leave them out.")
    if apart and not trial.metrics:
        _log.warning("%s; left out: %s", reason, ", ".join(apart))
    wanted = set(trial.metrics or known) - set(apart)
    if not wanted:
        raise RecordError("the points have no metric in common", where=records[0].name, mend="Evaluate them again.")
    by_user, by_lists, alone = ([name for name in names if name in wanted] for names in kinds)
    return by_user, by_lists, alone


def _values_row(name: str, records: Sequence[RunRecord], users: int, split: str) -> Row:
    values = [record.metrics[split][name] for record in records]
    half = len(values) // 2
    first, second = float(np.mean(values[:half])), float(np.mean(values[half:]))
    return row(name, (first, second), Interval(first - second), math.nan, Interval(math.nan), users)
