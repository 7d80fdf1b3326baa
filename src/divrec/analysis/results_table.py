"""The table of all baselines and re-rankers over data sets: small records of sweeps, and their Markdown.

Shapes: S seeds, U users, M metrics, R resamples.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from divrec.analysis.front_intervals import over_seeds, resample_users
from divrec.analysis.records import read_slates, read_sweep, read_users
from divrec.analysis.resampling import centered_set_level
from divrec.analysis.significance import SET_LEVEL
from divrec.analysis.statistics import (
    RESAMPLES,
    SET_RESAMPLES,
    Floats,
    draw_weights,
    list_matrix,
    percentile_interval,
)
from divrec.errors import RecordError
from divrec.schema import BASE, BASELINE, CONTROL, RANK, SPLIT, TEST, TRAINED, USER_ID, RunRecord

COLUMNS = (
    "dataset",
    "fingerprint",
    "setting",
    "kind",
    "rerank",
    "diversity",
    "seeds",
    "seed",
    "users",
    "metric",
    "value",
    "low",
    "high",
)
HEADLINE = ("ndcg", "recall", "alpha_ndcg", "simpson", "ilad", "ilmd", "coverage", "gini", "effective_coverage")
LOWER_IS_BETTER = ("gini",)
_log = logging.getLogger(__name__)
_SEED = re.compile(r"-seed\d+")
_ORDER = {BASELINE: 0, BASE: 1, CONTROL: 2, TRAINED: 3}
_TITLES = {BASELINE: "Baselines", BASE: "Base", CONTROL: "Controls", TRAINED: "Trained with a regularizer"}


def collect_results(folder: Path, seed: int = 0) -> pd.DataFrame:
    """Values and 95 % intervals of every point of a sweep, on test: small enough to be kept beside the table.

    Points that differ in the seed only are one setting: its value is the mean, its interval comes from resampled users
    and seeds. A seed that a setting has twice, as "control" and "control-seed0", counts once.

    Args:
        folder: the sweep's folder.
        seed: of the resamples.

    Returns:
        A row a setting and metric, with `COLUMNS`.

    Raises:
        RecordError: no sweep, or a point's files cannot be read.
    """
    settings: dict[str, list[tuple[RunRecord, Path]]] = {}
    for record, place in read_sweep(folder).points:
        members = settings.setdefault(_SEED.sub("", record.name), [])
        if same := [other.name for other, _ in members if other.seed == record.seed]:
            _log.warning("left out: %s has the setting and seed of %s", record.name, same[0])
            continue
        members.append((record, place))
    tables = [_setting_rows(name, members, seed) for name, members in settings.items()]
    return pd.concat(tables, ignore_index=True)[list(COLUMNS)]


def results_markdown(results: pd.DataFrame, k: int = 10, metrics: Sequence[str] = HEADLINE) -> str:
    """The results as Markdown: a table a data set, a row a setting, the best of each column in bold.

    Args:
        results: rows of `collect_results`, of any number of sweeps.
        k: list size.
        metrics: columns, without "@k"; those that a data set lacks are left out there.

    Raises:
        RecordError: columns are missing, or two sweeps have the same setting of the same data.
    """
    if missing := [name for name in COLUMNS if name not in results.columns]:
        raise RecordError("columns missing", where="results", got=missing, mend="Collect them again.")
    if results.duplicated(["dataset", "setting", "metric"]).any():
        doubled = results.loc[results.duplicated(["dataset", "setting", "metric"]), "setting"].iloc[0]
        raise RecordError("a setting appears twice", where="results", got=str(doubled), mend="Collect each sweep once.")
    return (
        "\n\n".join(_dataset_markdown(str(name), rows, k, metrics) for name, rows in results.groupby("dataset")) + "\n"
    )


def _setting_rows(name: str, members: list[tuple[RunRecord, Path]], seed: int) -> pd.DataFrame:
    tables = [read_users(place, TEST).set_index(USER_ID).drop(columns=SPLIT) for _, place in members]
    users = tables[0].index
    for table in tables[1:]:
        users = users.intersection(table.index, sort=False)
    if users.empty:
        raise RecordError("seeds without a user in common", where=name)
    metrics = [str(metric) for metric in tables[0].columns]
    values_SUM = np.stack([table.loc[users, metrics].to_numpy(np.float64) for table in tables])
    generator = np.random.default_rng(seed)
    plain = np.ones((1, len(users)), dtype=np.uint8)
    estimates_M = resample_users(values_SUM, plain)[0].mean(0)
    drawn_RSM = resample_users(values_SUM, draw_weights(len(users), RESAMPLES, generator))
    drawn_RM = over_seeds(drawn_RSM.swapaxes(0, 1)[:, :, None], generator)[:, 0]
    rows = [_rows(metrics, estimates_M, drawn_RM)]
    for size in sorted(int(match[1]) for metric in members[0][0].metrics[TEST] if (match := _coverage(metric))):
        rows.append(_set_level_rows(members, users, size, generator))
    record = members[0][0]
    facts = {
        "dataset": record.data.get("name"),
        "fingerprint": record.data.get("fingerprint"),
        "setting": name,
        "kind": record.kind,
        "rerank": record.rerank.get("name", ""),
        "diversity": record.rerank.get("diversity", np.nan),
        "seeds": len(members),
        "seed": " ".join(str(each.seed) for each, _ in members),
        "users": len(users),
    }
    return pd.concat(rows).assign(**facts)


def _coverage(metric: str) -> re.Match[str] | None:
    return re.fullmatch(r"coverage@(\d+)", metric)


def _set_level_rows(
    members: list[tuple[RunRecord, Path]], users: pd.Index, k: int, generator: np.random.Generator
) -> pd.DataFrame:
    weights = draw_weights(len(users), SET_RESAMPLES, generator)
    wholes, drawn = [], []
    for record, place in members:
        slates = read_slates(place, TEST)
        lists = list_matrix(slates[slates[RANK] <= k], users)
        whole_V, drawn_RV = centered_set_level(lists, weights, int(record.data["items"]))
        wholes.append(whole_V)
        drawn.append(drawn_RV[:, None])
    names = [f"{name}@{k}" for name in SET_LEVEL]
    return _rows(names, np.mean(wholes, axis=0), over_seeds(np.stack(drawn), generator)[:, 0])


def _rows(metrics: list[str], values_M: Floats, drawn_RM: Floats) -> pd.DataFrame:
    intervals = [percentile_interval(float(value), drawn_RM[:, at]) for at, value in enumerate(values_M)]
    ends = [(interval.low, interval.high) for interval in intervals]
    return pd.DataFrame({"metric": metrics, "value": values_M}).join(pd.DataFrame(ends, columns=["low", "high"]))


def _dataset_markdown(name: str, rows: pd.DataFrame, k: int, metrics: Sequence[str]) -> str:
    columns = [metric for metric in metrics if f"{metric}@{k}" in set(rows["metric"])]
    if not columns:
        raise RecordError(f"no metric at k = {k}", where=name, got=sorted(set(rows["metric"]))[:8])
    best = {}
    for metric in columns:
        own = rows.loc[rows["metric"] == f"{metric}@{k}", "value"]
        best[metric] = own.min() if metric in LOWER_IS_BETTER else own.max()
    head = [
        "setting",
        *(f"{metric}@{k}{' (lower is better)' if metric in LOWER_IS_BETTER else ''}" for metric in columns),
    ]
    users = int(rows["users"].max())
    seeds = sorted({seed for given in rows["seed"].astype(str) for seed in given.split()}, key=int)
    data = f"{name}-{rows['fingerprint'].iloc[0]}"
    told = f"Data `{data}`, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}, {users:,} users."
    lines = [f"## {name}", "", f"{told} Value and 95 % interval on test; the best of a column is bold.", ""]
    lines += [_line(head), _line(["---", *("---:" for _ in columns)])]
    order = rows.assign(place=rows["kind"].map(_ORDER)).sort_values(["place", "rerank", "diversity"], kind="stable")
    for kind, members in order.groupby("place", sort=True):
        title = next(_TITLES[key] for key, place in _ORDER.items() if place == kind)
        lines.append(_line([f"*{title}*", *("" for _ in columns)]))
        for setting, values in members.groupby("setting", sort=False):
            cells = values.set_index("metric")
            lines.append(_line([str(setting), *(_cell(cells, metric, k, best[metric]) for metric in columns)]))
    return "\n".join(lines)


def _cell(cells: pd.DataFrame, metric: str, k: int, best: float) -> str:
    if f"{metric}@{k}" not in cells.index:
        return ""
    value, low, high = cells.loc[f"{metric}@{k}", ["value", "low", "high"]].astype(float)
    digits = 4 if abs(best) < 0.2 else 3
    shown = f"{value:.{digits}f}"
    text = f"**{shown}**" if shown == f"{best:.{digits}f}" else shown
    return f"{text} [{low:.{digits}f}, {high:.{digits}f}]"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
