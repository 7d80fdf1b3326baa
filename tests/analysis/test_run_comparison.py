"""Two points compared: values, intervals, families, seeds, and the command."""

from __future__ import annotations

import io
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from divrec.analysis import read_record, read_users
from divrec.analysis.comparison_table import comparison_table
from divrec.analysis.run_comparison import compare_runs
from divrec.analysis.trial import Trial
from divrec.errors import ConfigError, RecordError
from divrec.run.compare import main
from run.command import command
from run.test_mistakes import assert_one_message

QUICK = Trial(resamples=100, permutations=199)
Edit = Callable[[Path, dict[str, object]], None]


def test_a_regularizer_against_the_control(written_sweep: Path) -> None:
    table = compare_runs([written_sweep / "gini-1"], [written_sweep / "control"], QUICK).set_index("metric")
    first, second = (read_record(written_sweep / name).metrics["test"] for name in ("gini-1", "control"))
    for name in ("ndcg@10", "ilad@10", "coverage@10", "gini@10"):
        assert table.loc[name, "first"] == pytest.approx(first[name])
        assert table.loc[name, "difference"] == pytest.approx(first[name] - second[name])
        assert table.loc[name, "low"] < table.loc[name, "difference"] < table.loc[name, "high"]
        assert table.loc[name, "p"] <= table.loc[name, "p_holm"] <= 1
    assert table.loc["gini@10", "p_holm"] < 0.05  # 199 exchanges cannot go below 8 x .005
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
    trial = Trial(metrics=("ndcg@10", "gini@10"), resamples=50, permutations=99)
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


def test_a_star_needs_an_interval_without_0_and_seeds_are_in_both(seeded_sweep: Path) -> None:
    sides = [[seeded_sweep / f"{name}-seed{seed}" for seed in range(3)] for name in ("gini-0.1", "control")]
    table = compare_runs(sides[0], sides[1], QUICK)
    told = (table["low"] > 0) | (table["high"] < 0)
    assert ((table["p"] < 0.05) == told).all()  # of one metric: p and interval are of one distribution
    assert 0 < told.sum() < len(table)
    assert (table["seeds"] == 3).all()


def test_seeds_that_are_no_pairs_are_refused(seeded_sweep: Path) -> None:
    first, second = ([seeded_sweep / f"{name}-seed{seed}" for seed in range(2)] for name in ("gini-0.5", "control"))
    with pytest.raises(ConfigError, match="b: not the seeds of a in the same order"):
        compare_runs(first, second[::-1], QUICK)
    with pytest.raises(ConfigError, match="a: a seed is there twice"):
        compare_runs([first[0], first[0]], second, QUICK)
    one_each = compare_runs([first[0]], [second[1]], QUICK)  # what a seed alone does may be asked
    assert (one_each["seeds"] == 1).all()


RULED = ("ilad@10", "ilmd@10", "simpson@10", "overlap@10")


@pytest.mark.parametrize(
    ("theirs", "left_out"),
    [
        ({"vectors": "a", "categories": "b"}, ()),
        ({"vectors": "x", "categories": "b"}, ("ilad@10", "ilmd@10")),
        ({"vectors": "a", "categories": "x"}, ("simpson@10", "overlap@10")),
        ({"vectors": "x", "categories": "x"}, RULED),
        (None, ()),  # a record of an earlier version
    ],
)
def test_metrics_of_other_rulers_are_left_out(
    sweep_folder: Path,
    edit_record: Edit,
    caplog: pytest.LogCaptureFixture,
    theirs: dict[str, str] | None,
    left_out: tuple[str, ...],
) -> None:
    for name, ruler in (("gini-1", {"vectors": "a", "categories": "b"}), ("control", theirs)):
        data = read_record(sweep_folder / name).data | ({} if ruler is None else {"ruler": ruler})
        edit_record(sweep_folder / name, {"data": data})
    sides = [sweep_folder / "gini-1"], [sweep_folder / "control"]
    with caplog.at_level(logging.WARNING):
        found = set(compare_runs(*sides, QUICK)["metric"])
    assert found >= {"ndcg@10", "gini@10", "coverage@10"}
    assert found & set(RULED) == set(RULED) - set(left_out)
    assert ("another encoder" in caplog.text) == bool(left_out)
    if left_out:
        with pytest.raises(ConfigError, match="do not compare"):
            compare_runs(*sides, Trial(metrics=left_out))


def test_pooled_auc_has_values_and_no_p(sweep_folder: Path) -> None:
    for name, value in (("gini-1", 0.7), ("control", 0.75)):
        path = sweep_folder / name / "record.json"
        record = json.loads(path.read_text())
        record["metrics"]["test"]["auc_pooled"] = value
        path.write_text(json.dumps(record))
    table = compare_runs([sweep_folder / "gini-1"], [sweep_folder / "control"], QUICK).set_index("metric")
    assert table.loc["auc_pooled", "difference"] == pytest.approx(-0.05)
    assert table.loc["auc_pooled", ["low", "p", "p_holm", "effect"]].isna().all()
    assert set(table.index) == set(read_record(sweep_folder / "gini-1").metrics["test"])


def _row(metric: str, **values: float) -> dict[str, object]:
    plain = {"first": 0.5, "second": 0.25, "difference": 0.25, "low": 0.2, "high": 0.3, "p": 0.001, "p_holm": 0.002}
    return {"metric": metric, **plain, "effect": 0.5, "seeds": 1} | values


LONGEST = (
    _row("calibration_kl@10"),
    _row("calibration_js@10", first=-0.1234, difference=-0.1234, low=-0.5678, high=-0.1234, effect=-0.55),
    _row("effective_coverage@100", effect=np.nan),
    _row("average_popularity@10", first=1234.5678, second=12.345, difference=-123.456, low=-200.0, high=-10.0),
    _row("auc_pooled", low=np.nan, high=np.nan, p=np.nan, p_holm=np.nan, effect=np.nan),
    _row("ndcg@10", low=-0.01),
)


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_keeps_names_and_numbers_whole(width: int) -> None:
    said = io.StringIO()
    Console(width=width, file=said).print(comparison_table(pd.DataFrame(LONGEST), "a long title " * 9))
    lines = said.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in said.getvalue()
    by_metric = {line.split()[0]: line for line in lines if "@" in line or line.startswith("auc_pooled")}
    assert set(by_metric) == {row["metric"] for row in LONGEST}
    assert "[-0.5678, -0.1234] 0.0020 *  -0.55" in by_metric["calibration_js@10"]
    assert "1234.6 12.345 -123.46" in by_metric["average_popularity@10"]
    assert "*" not in by_metric["ndcg@10"]  # its interval holds 0
    assert "nan" not in by_metric["auc_pooled"]
    assert "not what another seed would" in " ".join(said.getvalue().split())


@pytest.mark.parametrize(("seeds", "words"), [(2, "Train more seeds"), (3, "3 seeds: interval and p hold for other")])
def test_the_table_says_what_seeds_can_show(seeds: int, words: str) -> None:
    caption = comparison_table(pd.DataFrame([_row("ndcg@10", seeds=seeds)]), "title").caption
    assert words in str(caption)


def test_points_of_other_data_are_refused(sweep_folder: Path, edit_record: object) -> None:
    assert callable(edit_record)
    edit_record(sweep_folder / "gini-1", {"data": {"fingerprint": "other", "items": 500}})
    with pytest.raises(RecordError, match="differ in data"):
        compare_runs([sweep_folder / "gini-1"], [sweep_folder / "control"], QUICK)


def _command(sweep: Path, *more: str) -> tuple[str, ...]:
    return (f"a={sweep / 'gini-1'}", f"b={sweep / 'control'}", "resamples=50", "permutations=99", *more)


def test_the_command_prints_and_writes(written_sweep: Path, tmp_path: Path) -> None:
    arguments = _command(written_sweep, "family=[ndcg@10]", f"out={tmp_path / 't.csv'}")
    command = [sys.executable, "-m", "divrec.run.compare", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ndcg@10" in done.stdout
    assert pd.read_csv(tmp_path / "t.csv")["metric"].tolist() == ["ndcg@10"]
    wrong = subprocess.run([*command, "split=train"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert wrong.returncode == 1
    assert "no such split" in wrong.stderr


MISTAKES = [
    (["permutations=-5"], ["permutations:", "at least 19", "-5"]),
    (["permutations=0"], ["permutations:", "at least 19"]),
    (["permutations=2.5"], ["permutations:", "whole number"]),
    (["resamples=0"], ["resamples:", "at least 40"]),
    (["resamples=abc"], ["resamples:", "whole number", "abc"]),
    (["resamples=null"], ["resamples:", "whole number"]),
    (["seed=-1"], ["seed:", "at least 0"]),
    (["split=train"], ["split:", "validation or test"]),
    (["split=null"], ["split:", "validation or test"]),
    (["a=null"], ["a:", "folder of a run", "null"]),
    (["a=???"], ["a:", "has to be given", "a=RUN"]),
    (["b=[]"], ["b:", "folder of a run"]),
    (["b=5"], ["b:", "folder of a run", "5"]),
    (["b=[null]"], ["b:", "folder of a run"]),
    (["a=/no/such/run"], ["/no/such/run", "missing"]),
    (["family=null"], ["family:", "list of metrics"]),
    (["family=[5]"], ["family:", "list of metrics", "[5]"]),
    (["family=[ndcg@7]"], ["family:", "not in both points", "ndcg@7"]),
    (["family=ndcg@7"], ["family:", "not in both points", "['ndcg@7']"]),
    (["out=5"], ["out:", "path of a CSV"]),
    (["out=."], ["out:", "is a folder", "comparison.csv"]),
    (["out=file/t.csv"], ["out:", "below a file"]),
]


@pytest.mark.parametrize(("mistake", "words"), MISTAKES, ids=[" ".join(mistake) for mistake, _ in MISTAKES])
def test_a_mistake_is_one_message(
    written_sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    key = mistake[0].partition("=")[0]
    kept = [each for each in _command(written_sweep) if not each.startswith(f"{key}=")]
    answer = command(main, *kept, *mistake)
    assert_one_message(answer, words)
    assert not list(tmp_path.rglob("*.csv"))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("permutations", -5),
        ("permutations", 18),
        ("resamples", 39),
        ("resamples", True),
        ("seed", -1),
        ("level", 1.0),
        ("level", float("nan")),
        ("split", "train"),
    ],
)
def test_a_trial_that_makes_no_sense_is_refused(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: "):
        Trial(**{key: value})  # type: ignore[arg-type]


def test_one_metric_is_a_family_of_its_own(
    written_sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(main, *_command(written_sweep, "family=gini@10", "out=t.csv")).code == 0
    assert pd.read_csv("t.csv")["metric"].tolist() == ["gini@10"]


def test_comparisons_do_not_overwrite_each_other(
    seeded_sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    few = ("family=ndcg@10", "resamples=50", "permutations=99")
    points = [f"{name}-seed0/points/mmr-0.1" for name in ("gini-0.3", "control")]
    other = shutil.copytree(seeded_sweep, tmp_path / "again")
    runs = [",".join(str(seeded_sweep / f"{name}-seed{seed}") for seed in (0, 1)) for name in ("gini-0.3", "control")]
    asked = (
        [f"{side}={seeded_sweep / point}" for side, point in zip("ab", points, strict=True)],
        [f"{side}={other / point}" for side, point in zip("ab", points, strict=True)],
        [f"a={seeded_sweep / points[0]}", f"b={other / points[0]}"],
        [f"{side}=[{both}]" for side, both in zip("ab", runs, strict=True)],
    )
    for sides in asked:
        for split in ("test", "validation"):
            answer = command(main, *sides, *few, f"split={split}")
            assert answer.code == 0, answer.text
    written = {str(path.relative_to(tmp_path / "outputs" / "comparisons")) for path in tmp_path.rglob("*--test.csv")}
    assert written == {
        "seeds/gini-0.3-seed0_mmr-0.1--control-seed0_mmr-0.1--test.csv",
        "again/gini-0.3-seed0_mmr-0.1--control-seed0_mmr-0.1--test.csv",
        "seeds--again/gini-0.3-seed0_mmr-0.1--gini-0.3-seed0_mmr-0.1--test.csv",
        "seeds/gini-0.3-seeds0+1--control-seeds0+1--test.csv",
    }
    assert len(list(tmp_path.rglob("*--validation.csv"))) == 4
