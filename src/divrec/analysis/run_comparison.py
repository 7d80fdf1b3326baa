"""Two runs, or two settings over the same seeds, metric by metric: difference, interval, corrected p, effect size.

Shapes: S seeds, U users, M metrics, R resamples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table
from scipy import sparse

from divrec.analysis.records import read_record, read_slates, read_users
from divrec.analysis.significance import (
    PERMUTATIONS,
    SET_LEVEL,
    SET_PERMUTATIONS,
    effect_sizes,
    holm,
    paired_permutation,
    set_level_values,
    swapped_lists,
)
from divrec.analysis.statistics import (
    LEVEL,
    RESAMPLES,
    SET_RESAMPLES,
    Floats,
    Interval,
    draw_weights,
    percentile_interval,
    resampled_means,
    shifted_interval,
)
from divrec.errors import ConfigError, RecordError
from divrec.schema import ITEM_ID, RANK, SPLIT, TEST, USER_ID


@dataclass(frozen=True)
class Trial:
    """How a comparison is made.

    Attributes:
        split: "test" or "validation".
        metrics: the family that is corrected together; empty = every metric that both have.
        seed: of resamples and permutations.
        resamples: bootstrap resamples of per-user means.
        set_resamples: of set-level values.
        permutations: of per-user differences.
        set_permutations: of lists.
        level: of the intervals.
    """

    split: str = TEST
    metrics: tuple[str, ...] = ()
    seed: int = 0
    resamples: int = RESAMPLES
    set_resamples: int = SET_RESAMPLES
    permutations: int = PERMUTATIONS
    set_permutations: int = SET_PERMUTATIONS
    level: float = LEVEL


def compare_runs(first: Sequence[Path], second: Sequence[Path], trial: Trial | None = None) -> pd.DataFrame:
    """Compare two points, or two settings over seeds, on the users that all of them have.

    The difference is first minus second, averaged over seeds. Its interval comes from resampled users and, with
    several seeds, resampled seeds; p from exchanging the two within users; p_holm is corrected over all rows.

    Args:
        first: folders of the first setting, one a seed.
        second: folders of the second, in the order of the same seeds.
        trial: how it is made.

    Returns:
        A row a metric: metric, first, second, difference, low, high, p, p_holm, effect, effect_low, effect_high, users.
        Set-level metrics have no effect size.

    Raises:
        ConfigError: the settings have not as many folders each, or a metric is unknown.
        RecordError: a file is missing or broken, the data differ, or no user is in all points.
    """
    trial = trial or Trial()
    if not first or len(first) != len(second):
        raise ConfigError("as many runs as in b, one a seed", where="a", got=f"{len(first)} and {len(second)}")
    items = _check_records([*first, *second])
    tables = [read_users(folder, trial.split).set_index(USER_ID).drop(columns=SPLIT) for folder in (*first, *second)]
    users, metrics = tables[0].index, list(tables[0].columns)
    for table in tables[1:]:
        users = users.intersection(table.index, sort=False)
        metrics = [name for name in metrics if name in table.columns]
    if users.empty:
        raise RecordError("the points have no user in common", where=str(first[0]), mend="Evaluate them again.")
    shown = _set_level_names(first[0], second[0], trial.split)
    metrics, shown = _family(metrics, shown, trial)
    rows = _per_user_rows([table.loc[users, metrics].to_numpy(np.float64) for table in tables], metrics, trial)
    for k in sorted({int(name.partition("@")[2]) for name in shown}):
        rows += [row for row in _set_level_rows(first, second, users, (k, items), trial) if row["metric"] in shown]
    table = pd.DataFrame(rows)
    table.insert(7, "p_holm", holm(table["p"].tolist()))
    return table


def comparison_table(table: pd.DataFrame, title: str) -> Table:
    """The comparison for the terminal; a star marks what the corrected p tells from chance at .05."""
    shown = Table(title=title, title_justify="left")
    for column in ("metric", "a", "b", "a - b", "95 % interval", "p (Holm)", "effect"):
        shown.add_column(column, justify="left" if column == "metric" else "right")
    for row in table.to_dict("records"):
        star = " *" if row["p_holm"] < 0.05 else ""
        interval = f"[{row['low']:+.4f}, {row['high']:+.4f}]"
        values = (f"{row['first']:.4f}", f"{row['second']:.4f}", f"{row['difference']:+.4f}", interval)
        effect = "" if np.isnan(row["effect"]) else f"{row['effect']:+.2f}"
        shown.add_row(row["metric"], *values, f"{row['p_holm']:.4f}{star}", effect)
    return shown


def _check_records(folders: Sequence[Path]) -> int:
    records = [read_record(folder) for folder in folders]
    for key, values in (
        ("data", [record.data.get("fingerprint") for record in records]),
        ("exclude_seen", [record.exclude_seen for record in records]),
    ):
        if len(set(values)) > 1:
            raise RecordError(f"the points differ in {key}", where=str(folders[0]), got=values)
    return int(records[0].data["items"])


def _set_level_names(first: Path, second: Path, split: str) -> list[str]:
    pattern = re.compile(rf"({'|'.join(SET_LEVEL)})@\d+")
    theirs = read_record(second).metrics[split]
    return [name for name in read_record(first).metrics[split] if pattern.fullmatch(name) and name in theirs]


def _family(metrics: list[str], shown: list[str], trial: Trial) -> tuple[list[str], list[str]]:
    if not trial.metrics:
        return metrics, shown
    if unknown := [name for name in trial.metrics if name not in (*metrics, *shown)]:
        raise ConfigError("not in both points", where="family", got=unknown, mend=f"Choose of {metrics + shown}")
    return [name for name in metrics if name in trial.metrics], [name for name in shown if name in trial.metrics]


def _per_user_rows(values: list[Floats], metrics: list[str], trial: Trial) -> list[dict[str, object]]:
    seeds, generator = len(values) // 2, np.random.default_rng(trial.seed)
    first, second = np.stack(values[:seeds]), np.stack(values[seeds:])
    differences_SUM = first - second  # a user without a value in one of the two says nothing of the difference
    averaged_UM = differences_SUM.mean(0)
    weights = draw_weights(averaged_UM.shape[0], trial.resamples, generator)
    resampled = nested_means(differences_SUM, weights, generator)
    p_values = paired_permutation(averaged_UM, generator, trial.permutations)
    effects = effect_sizes(averaged_UM, weights, trial.level)
    defined = ~np.isnan(averaged_UM)
    means = [np.where(defined, side.mean(0), np.nan) for side in (first, second)]
    rows: list[dict[str, object]] = []
    for column, name in enumerate(metrics):
        users = int(defined[:, column].sum())
        left, right = (float(np.nanmean(side[:, column])) if users else np.nan for side in means)
        interval = percentile_interval(left - right, resampled[:, column], trial.level)
        effect = effects[column]
        rows.append(_row(name, (left, right), interval, p_values[column], effect, users))
    return rows


def nested_means(differences_SUM: Floats, weights_RU: np.ndarray, generator: np.random.Generator) -> Floats:
    """Mean differences of resampled users and seeds, (R, M); one seed is taken as it is."""
    seeds = len(differences_SUM)
    by_seed = np.stack([resampled_means(values, weights_RU) for values in differences_SUM])
    drawn = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(weights_RU)) if seeds > 1 else None
    if drawn is None:
        return np.asarray(by_seed[0])
    return np.asarray(np.einsum("rs,srm->rm", drawn / seeds, by_seed))


def _set_level_rows(
    first: Sequence[Path], second: Sequence[Path], users: pd.Index, size: tuple[int, int], trial: Trial
) -> list[dict[str, object]]:
    k, items = size
    generator = np.random.default_rng(trial.seed)
    measure = partial(set_level_values, items=items)
    pairs = [_lists(one, other, users, k, trial.split) for one, other in zip(first, second, strict=True)]
    weights = draw_weights(len(users), trial.set_resamples, generator)
    values, resampled = [], []
    for pair in pairs:
        left, right = (measure(np.asarray(lists.sum(0), dtype=np.int64)[None])[0] for lists in pair)
        values.append((left, right))
        drawn = [measure((lists.T @ weights.T.astype(np.int64)).T) for lists in pair]
        resampled.append((drawn[0] - drawn[1])[:, None, :])
    # one "user" a resample: what is left to resample here are the seeds
    differences = np.concatenate(resampled, axis=1)
    seeds = differences.shape[1]
    drawn_RS = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(differences)) / seeds
    combined = np.einsum("rs,rsv->rv", drawn_RS, differences)
    p_values = swapped_lists(pairs, measure, generator, trial.set_permutations)
    means = np.mean(values, axis=0)
    return [
        _row(
            f"{name}@{k}",
            (float(means[0, column]), float(means[1, column])),
            shifted_interval(float(means[0, column] - means[1, column]), combined[:, column], trial.level),
            p_values[column],
            Interval(np.nan),
            len(users),
        )
        for column, name in enumerate(SET_LEVEL)
    ]


def _lists(first: Path, second: Path, users: pd.Index, k: int, split: str) -> tuple[sparse.csr_array, sparse.csr_array]:
    """The lists of both, (U, N shown by any) with the same columns."""
    frames = [frame[frame[RANK] <= k] for frame in (read_slates(first, split), read_slates(second, split))]
    both = pd.concat(frames)
    columns, shown = pd.factorize(both[ITEM_ID])
    rows = users.get_indexer(pd.Index(both[USER_ID]))
    found, start = [], 0
    for frame in frames:
        part = slice(start, start + len(frame))
        start += len(frame)
        kept = rows[part] >= 0
        ones = np.ones(int(kept.sum()), dtype=np.int64)
        shape = (len(users), len(shown))
        found.append(sparse.csr_array((ones, (rows[part][kept], columns[part][kept])), shape=shape))
    return found[0], found[1]


def _row(
    name: str, values: tuple[float, float], interval: Interval, p: float, effect: Interval, users: int
) -> dict[str, object]:
    return {
        "metric": name,
        "first": values[0],
        "second": values[1],
        "difference": interval.estimate,
        "low": interval.low,
        "high": interval.high,
        "p": float(p),
        "effect": effect.estimate,
        "effect_low": effect.low,
        "effect_high": effect.high,
        "users": users,
    }
