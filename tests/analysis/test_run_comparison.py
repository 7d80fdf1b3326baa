"""Two points compared: values, intervals, families, seeds, and the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from divrec.analysis import read_record, read_users
from divrec.analysis.run_comparison import Trial, compare_runs, comparison_table, nested_means
from divrec.analysis.statistics import draw_weights
from divrec.errors import ConfigError, RecordError

QUICK = Trial(resamples=300, set_resamples=60, permutations=500, set_permutations=99)


def test_a_regularizer_against_the_control(written_sweep: Path) -> None:
    table = compare_runs([written_sweep / "gini-1"], [written_sweep / "control"], QUICK).set_index("metric")
    first, second = (read_record(written_sweep / name).metrics["test"] for name in ("gini-1", "control"))
    for name in ("ndcg@10", "ilad@10", "coverage@10", "gini@10"):
        assert table.loc[name, "first"] == pytest.approx(first[name])
        assert table.loc[name, "difference"] == pytest.approx(first[name] - second[name])
        assert table.loc[name, "low"] < table.loc[name, "difference"] < table.loc[name, "high"]
        assert table.loc[name, "p"] <= table.loc[name, "p_holm"] <= 1
    assert table.loc["gini@10", "p_holm"] < 0.15  # 99 exchanges cannot go lower
    assert np.isnan(table.loc["gini@10", "effect"])
    users = [read_users(written_sweep / name, "test").set_index("user_id")["ndcg@10"] for name in ("gini-1", "control")]
    difference = users[0] - users[1]
    assert table.loc["ndcg@10", "effect"] == pytest.approx(difference.mean() / difference.std(ddof=0))


def test_a_point_against_itself_differs_in_nothing(written_sweep: Path) -> None:
    table = compare_runs([written_sweep / "control"], [written_sweep / "control"], QUICK)
    assert (table["difference"] == 0).all()
    assert (table["p_holm"] == 1).all()
    assert "control" in str(comparison_table(table, "control").title)


def test_the_family_is_what_was_asked_for(written_sweep: Path) -> None:
    trial = Trial(metrics=("ndcg@10", "gini@10"), resamples=50, set_resamples=20, permutations=99, set_permutations=19)
    table = compare_runs([written_sweep / "simpson-1"], [written_sweep / "control"], trial)
    assert table["metric"].tolist() == ["ndcg@10", "gini@10"]
    with pytest.raises(ConfigError, match="not in both"):
        compare_runs([written_sweep / "simpson-1"], [written_sweep / "control"], Trial(metrics=("ndcg@7",)))


def test_seeds_are_paired(seeded_sweep: Path) -> None:
    sides = [[seeded_sweep / f"{name}-seed{seed}" for seed in range(3)] for name in ("gini-0.5", "control")]
    table = compare_runs(sides[0], sides[1], QUICK).set_index("metric")
    values = [np.mean([read_record(f).metrics["test"]["gini@10"] for f in side]) for side in sides]
    assert table.loc["gini@10", "difference"] == pytest.approx(values[0] - values[1])
    assert table.loc["ndcg@10", "low"] <= table.loc["ndcg@10", "difference"] <= table.loc["ndcg@10", "high"]
    with pytest.raises(ConfigError, match="as many runs"):
        compare_runs(sides[0], sides[1][:2], QUICK)


def test_nested_intervals_are_wider_where_seeds_differ() -> None:
    generator = np.random.default_rng(0)
    differences = generator.normal(0, 0.1, size=(4, 200, 1)) + np.array([-1, -0.3, 0.4, 1.2])[:, None, None]
    weights = draw_weights(200, 500, generator)
    spread = np.std(nested_means(differences, weights, generator))
    assert spread > 10 * np.std(nested_means(differences[:1], weights, generator))
    assert spread == pytest.approx(np.std([-1, -0.3, 0.4, 1.2]) / 2, rel=0.15)


def test_points_of_other_data_are_refused(sweep_folder: Path, edit_record: object) -> None:
    assert callable(edit_record)
    edit_record(sweep_folder / "gini-1", {"data": {"fingerprint": "other", "items": 500}})
    with pytest.raises(RecordError, match="differ in data"):
        compare_runs([sweep_folder / "gini-1"], [sweep_folder / "control"], QUICK)


def test_the_command_prints_and_writes(written_sweep: Path, tmp_path: Path) -> None:
    arguments = [f"a={written_sweep / 'gini-1'}", f"b={written_sweep / 'control'}", "resamples=50", "permutations=99"]
    command = [sys.executable, "-m", "divrec.run.compare", *arguments, "family=[ndcg@10]", f"out={tmp_path / 't.csv'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ndcg@10" in done.stdout
    assert pd.read_csv(tmp_path / "t.csv")["metric"].tolist() == ["ndcg@10"]
    wrong = subprocess.run([*command, "split=train"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert wrong.returncode == 1
    assert "no such split" in wrong.stderr
