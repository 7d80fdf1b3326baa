"""The table of results from synthetic sweeps, and the command that rebuilds it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from divrec.analysis import read_record
from divrec.analysis.results_table import COLUMNS, collect_results, results_markdown
from divrec.errors import RecordError

Edit = Callable[[Path, dict[str, object]], None]
COMMAND = Path(__file__).parents[2] / "benchmarks" / "evaluation_table.py"


@pytest.fixture(scope="module")
def results(written_sweep: Path) -> pd.DataFrame:
    return collect_results(written_sweep)


def test_values_are_those_of_the_records(results: pd.DataFrame, written_sweep: Path) -> None:
    assert tuple(results.columns) == COLUMNS
    table = results.set_index(["setting", "metric"])
    for name in ("control", "item_knn", "gini-0.3/mmr-0.1"):
        run, _, point = name.partition("/")
        record = read_record(written_sweep / run / "points" / point if point else written_sweep / run)
        for metric in ("ndcg@10", "simpson@10", "coverage@10", "gini@10"):
            row = table.loc[(name, metric)]
            assert row["value"] == pytest.approx(record.metrics["test"][metric])
            assert row["low"] < row["value"] < row["high"]
    assert table.loc[("gini-0.3/mmr-0.1", "ndcg@10"), "rerank"] == "mmr"


def test_a_seed_counts_once(seeded_sweep: Path, tmp_path: Path, edit_record: Edit) -> None:
    for old, new in (
        ("control-seed0", "control"),
        ("control-seed0", "control-seed0"),
        ("control-seed1", "control-seed1"),
    ):
        shutil.copytree(seeded_sweep / old, tmp_path / "grown" / new, ignore=shutil.ignore_patterns("points"))
    edit_record(tmp_path / "grown" / "control", {"name": "control"})
    found = collect_results(tmp_path / "grown").set_index(["setting", "metric"])
    assert found.loc[("control", "gini@10"), "seeds"] == 2


def test_seeds_are_one_setting(seeded_sweep: Path) -> None:
    found = collect_results(seeded_sweep).set_index(["setting", "metric"])
    values = [read_record(seeded_sweep / f"control-seed{seed}").metrics["test"]["gini@10"] for seed in range(3)]
    row = found.loc[("control", "gini@10")]
    assert row["seeds"] == 3
    assert row["value"] == pytest.approx(np.mean(values))
    assert row["low"] < min(values) + 0.05
    assert found.loc[("control", "ndcg@10"), "low"] < found.loc[("control", "ndcg@10"), "high"]


def test_markdown_has_every_setting_and_marks_the_best(results: pd.DataFrame) -> None:
    text = results_markdown(results)
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.split(" | ")[0].removeprefix("| ") for line in lines} >= {"random", "control", "control/mmr-0.5"}
    assert len({line.count("|") for line in lines}) == 1
    order = [line.split(" | ")[0] for line in lines]
    assert order.index("| random") < order.index("| control") < order.index("| gini-1")
    best = results[results["metric"] == "ndcg@10"].sort_values("value").iloc[-1]
    assert f"| {best['setting']} | **{best['value']:.3f}**" in text
    lowest = results[results["metric"] == "gini@10"].sort_values("value").iloc[0]
    row = next(line for line in lines if line.startswith(f"| {lowest['setting']} |"))
    assert f"**{lowest['value']:.3f}**" in row


def test_doubled_settings_and_missing_columns_are_refused(results: pd.DataFrame) -> None:
    with pytest.raises(RecordError, match="twice"):
        results_markdown(pd.concat([results, results]))
    with pytest.raises(RecordError, match="columns"):
        results_markdown(results.drop(columns="low"))
    with pytest.raises(RecordError, match="k = 7"):
        results_markdown(results, k=7)


def test_the_command_collects_and_rebuilds(written_sweep: Path, tmp_path: Path) -> None:
    target = tmp_path / "evaluation.csv"

    def run(*arguments: str) -> str:
        command = [sys.executable, str(COMMAND), *arguments, "--results", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "evaluation.md").read_text()

    first = run("collect", str(written_sweep))
    assert "## synthetic" in first
    record = read_record(written_sweep / "control")
    assert f"Data `synthetic-{record.data['fingerprint']}`, seed {record.seed}, " in first
    assert target.stat().st_size < 100_000
    assert run("collect", str(written_sweep)) == first  # rows of the same data are replaced, not doubled
    (tmp_path / "evaluation.md").unlink()
    assert run() == first
