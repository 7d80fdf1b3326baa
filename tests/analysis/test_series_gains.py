"""Gains of series as small rows, and contests of two sets of settings."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from divrec.analysis import FrontOptions, FrontSummary
from divrec.analysis.group_front import GroupFront
from divrec.analysis.series_gains import COLUMNS, contest, gain_rows
from divrec.analysis.summary import read_fronts
from divrec.errors import RecordError
from divrec.schema import TEST

COMMAND = Path(__file__).parents[2] / "benchmarks" / "objective_table.py"


@pytest.fixture(scope="module")
def front(written_sweep: Path) -> GroupFront:
    return read_fronts(written_sweep, FrontOptions(measures=("gini", "ilmd"), replicates=40))[0]


def test_a_row_for_each_series_measure_and_quantity(front: GroupFront) -> None:
    rows = gain_rows(front)
    assert tuple(rows.columns) == COLUMNS
    assert not rows.duplicated(["group", "series", "measure", "quantity"]).any()
    assert set(rows["series"]) == {"", *(series.name for series in front.series)}
    gini = front.series[0].gains["1-gini@10"].intervals["at_98"]
    row = rows.query("series == @front.series[0].name and measure == '1-gini@10' and quantity == 'at_98'").iloc[0]
    assert (row["value"], row["low"], row["high"]) == (gini.estimate, gini.low, gini.high)
    own = rows.query("series == '' and measure == 'ndcg@10'").iloc[0]
    assert own["value"] == front.control.value(front.accuracy, TEST)


def test_a_set_against_itself_is_a_draw_and_against_nothing_a_win(front: GroupFront) -> None:
    axes = (front.accuracy, *front.axes)
    some = front.series[0].settings
    draw = contest(some, some, front.control, axes)
    assert draw["ours"] == draw["theirs"]
    assert (draw["difference"].estimate, draw["difference"].low, draw["difference"].high) == (0, 0, 0)
    pair = (front.accuracy, front.axes[0])
    win = contest(some, [front.control], front.control, pair)
    assert win["theirs"].estimate == 0
    assert win["difference"].estimate == win["ours"].estimate > 0


def test_more_settings_never_lose_in_the_measures_they_are_chosen_by(front: GroupFront) -> None:
    axes = (front.accuracy, front.axes[0])
    few, many = front.series[0].settings, [s for s in front.settings if s.first.selectable]
    assert contest(many, few, front.control, axes)["ours"].estimate > 0


def test_sets_that_were_not_resampled_alike_do_not_compare(front: GroupFront, written_sweep: Path) -> None:
    other = read_fronts(written_sweep, FrontOptions(measures=("gini", "ilmd"), replicates=30))[0]
    with pytest.raises(RecordError, match="resampled"):
        contest(front.series[0].settings, other.series[0].settings, front.control, (front.accuracy, front.axes[0]))


def test_one_command_keeps_the_rows_of_a_sweep_and_rebuilds_the_page(built: FrontSummary, tmp_path: Path) -> None:
    sweeps = tmp_path / "sweeps"
    shutil.copytree(built.folder, sweeps / "objective-synthetic")

    def page(*arguments: str) -> str:
        command = [sys.executable, str(COMMAND), *arguments, "--results", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "objective.md").read_text(encoding="utf-8")

    first = page("collect", "--sweeps", str(sweeps), "--replicates", "30")
    assert "## Every regularizer and re-ranker: synthetic" in first
    assert "| mmr on control |" in first
    assert "## What beta = 0.3 means" in first
    assert page() == first
    assert page("collect", "--sweeps", str(tmp_path / "none")) == first, "rows of other sweeps stay"


@pytest.mark.parametrize("name", ["objective", "tuning"])
def test_the_page_in_the_repository_is_that_of_its_rows(name: str, tmp_path: Path) -> None:
    results = COMMAND.parents[1] / "docs" / "results"
    shutil.copytree(results / name, tmp_path / name)
    command = [sys.executable, str(COMMAND.with_name(f"{name}_table.py")), "--results", str(tmp_path)]
    subprocess.run(command, capture_output=True, check=True)
    page, kept = (folder / f"{name}.md" for folder in (tmp_path, results))
    assert page.read_text(encoding="utf-8") == kept.read_text(encoding="utf-8")
