"""The whole front from disk: files, numbers that agree with each other, and honest words."""

import io
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from analysis.conftest import FEW
from divrec.analysis import FrontSummary, build_front, summary_table
from divrec.analysis.comparison import Setting
from divrec.analysis.group_front import front_of
from divrec.analysis.statistics import Interval
from divrec.analysis.summary import read_fronts
from divrec.analysis.wording import ENGLISH, signed
from divrec.errors import RecordError
from divrec.schema import CONTROL

Edit = Callable[[Path, dict[str, object]], None]

pytestmark = pytest.mark.usefixtures("coarse_pictures")


@pytest.fixture(scope="module")
def content(built: FrontSummary) -> dict:
    return json.loads((built.folder / "front.json").read_text())


def strict(name: str) -> float:
    raise AssertionError(f"front.json holds {name}")


def test_all_files_are_written_and_nothing_else(built: FrontSummary) -> None:
    files = {path.name for path in built.folder.iterdir() if path.is_file()}
    assert files == {"sweep.json", "front.csv", "front.json", "front.png", "front.pdf", "report.html"}
    json.loads((built.folder / "front.json").read_text(), parse_constant=strict)


def test_missing_and_broken_are_reported(built: FrontSummary, content: dict) -> None:
    assert content["missing"] == ["gini-1"] == list(built.missing)
    assert len(content["broken"]) == 1
    assert "simpson-1" in content["broken"][0]


def test_operating_point_keeps_95_percent_on_validation_and_is_the_most_diverse(content: dict) -> None:
    chosen = content["operating_point"]
    assert chosen["share_of_control"]["validation"] >= 0.95
    points = [p for p in content["points"].values() if p["kind"] in ("trained", "control")]
    rivals = [p for p in points if p["share_of_control"]["validation"] >= 0.95]
    assert len(rivals) > 5
    best = max(p["values"]["validation"]["1-gini@10"] for p in rivals)
    assert chosen["values"]["validation"]["1-gini@10"] == best
    assert chosen["name"].startswith("gini-")
    assert chosen["changes"]["1-gini@10"]["low"] > 0


def test_every_series_has_its_gains_on_every_axis_and_split(content: dict) -> None:
    assert list(content["series"]) == ["gini", "simpson", "gini_overlap", "mmr on control", "mmr on gini-0.3"]
    for series in content["series"].values():
        assert len(series["gains"]) == 6 + 3
        for gains in series["gains"].values():
            for split in ("validation", "test"):
                assert {"mean", "at_99", "at_98", "at_95", "at_90", "reaches", "hypervolume"} == gains[split].keys()
                assert all(math.isfinite(value) for value in gains[split].values())
    assert content["series"]["gini"]["gains"]["1-gini@10"]["test"]["mean"] > 0.02
    assert content["series"]["mmr on control"]["gains"]["ilmd@10"]["test"]["at_95"] > 0.05
    assert content["series"]["gini"]["strengths"] == [0.1, 0.2, 0.3, 0.5]


def test_what_moves_nothing_is_flagged(content: dict) -> None:
    assert content["no_effect"] == ["gini_overlap"]


def test_front_holds_points_that_nobody_beats_and_never_the_base(content: dict) -> None:
    for key, names in content["front"].items():
        pairs = {
            name: (point["values"]["validation"]["ndcg@10"], point["values"]["validation"][key])
            for name, point in content["points"].items()
            if point["kind"] != "base"
        }
        for name, (accuracy, diversity) in pairs.items():
            better = [
                p for p in pairs.values() if p[0] >= accuracy and p[1] >= diversity and p != (accuracy, diversity)
            ]
            assert (name in names) == (not better)
    assert content["reference"]["band"] == [0.9, 1.0]


def test_table_agrees_with_the_json(built: FrontSummary, content: dict) -> None:
    table = pd.read_csv(built.folder / "front.csv").set_index("name")
    assert len(table) == 22
    for name, point in content["points"].items():
        assert table.loc[name, "test/ndcg@10"] == pytest.approx(point["values"]["test"]["ndcg@10"])
        assert table.loc[name, "change/1-gini@10/low"] == pytest.approx(point["changes"]["1-gini@10"]["low"])
    assert list(table.index[table["operating_point"]]) == [content["operating_point"]["name"]]
    assert list(table.index[table["on_front"]]) == content["front"]["1-gini@10"]


def test_building_again_gives_the_same_bytes(built: FrontSummary, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(built.folder, tmp_path / built.folder.name))
    build_front(folder, options=FEW)
    assert (folder / "front.csv").read_bytes() == (built.folder / "front.csv").read_bytes()
    first, again = (json.loads((place / "front.json").read_text()) for place in (folder, built.folder))
    assert first["points"] == again["points"]


def test_terminal_table_says_gain_and_cost(built: FrontSummary) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(summary_table(built))
    text = console.export_text()
    for words in (
        "control",
        built.groups[0].operating.name,
        "cost: NDCG@10",
        "gain: 1 \u2212 Gini",
        "missing",
        "gini-1",
    ):
        assert words in text


def test_several_seeds_make_one_front(seeded_sweep: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(seeded_sweep, tmp_path / "seeds"))
    summary = build_front(folder, options=FEW)
    (front,) = summary.groups
    assert front.control.name == "control"
    assert [len(setting.points) for setting in front.settings if setting.name == "gini-0.3"] == [3]
    assert "3 seeds" in summary.headline
    assert len(summary.table) == 3 * 13 + 1


def test_several_tasks_have_a_front_each(sweep_folder: Path) -> None:
    for run in ("control", "gini-0.1", "gini-0.3"):
        other = Path(shutil.copytree(sweep_folder / run, sweep_folder / f"{run}-bpr"))
        shutil.rmtree(other / "points", ignore_errors=True)
        record = json.loads((other / "record.json").read_text())
        (other / "record.json").write_text(json.dumps(record | {"name": f"{run}-bpr"}))
    summary = build_front(sweep_folder, options=FEW)
    assert [front.name for front in summary.groups] == ["", "bpr"]
    assert set(summary.content["groups"]) == {"", "bpr"}
    assert (sweep_folder / "front-bpr.png").exists()
    assert len(summary.groups[1].settings) == 3 + 3  # baselines join every group


def test_no_control_is_an_error_that_says_what_to_do(sweep_folder: Path) -> None:
    shutil.rmtree(sweep_folder / "control")
    with pytest.raises(RecordError, match="Run the sweep again"):
        build_front(sweep_folder, options=FEW)
    assert not (sweep_folder / "front.json").exists()


def test_nothing_gained_is_said(built: FrontSummary) -> None:
    front = built.groups[0]
    only = [setting for setting in front.settings if setting.first.record.kind == CONTROL]
    assert ENGLISH.headline(front_of("", only, front.axes, front.accuracy)).startswith("Nothing is gained")
    strong = [s for s in front.settings if s.name == "gini-0.5"]
    text = ENGLISH.headline(front_of("", [front.control, *strong], front.axes, front.accuracy))
    assert text.startswith("Nothing is gained")
    assert f"The nearest is gini-0.5, which keeps {100 * front.share(strong[0], 'validation'):.1f}" in text


def test_a_gain_within_noise_is_not_sold(built: FrontSummary) -> None:
    front = built.groups[0]
    changes = front.operating.changes | {"gini@10": Interval(-0.01, -0.03, 0.01), "ndcg@10": Interval(-0.5, -0.6, -0.4)}
    noisy = Setting(front.operating.name, front.operating.points, front.operating.values, changes)
    key = front.axes[0].key
    findings = front.findings | {key: replace(front.findings[key], operating=noisy)}
    text = ENGLISH.headline(replace(front, findings=findings))
    assert "gain in diversity cannot be told from chance" in text
    assert "change in accuracy cannot" not in text


def test_a_baseline_that_wins_is_named(built: FrontSummary) -> None:
    front = built.groups[0]
    popular = next(setting for setting in front.settings if setting.name == "popular")
    values = popular.values | {"validation/ndcg@10": 0.9, "validation/gini@10": 0.1}
    strong = Setting("popular", popular.points, values, popular.changes)
    again = front_of("", [*(s for s in front.settings if s is not popular), strong], front.axes, front.accuracy)
    assert again.better_baselines == ("popular",)
    assert "a baseline beats it on both measures: popular" in ENGLISH.headline(again)
    assert again.operating.name == front.operating.name


@pytest.mark.parametrize(("value", "text"), [(0.00001, "0.0000"), (-0.00001, "0.0000"), (-0.5, "\u22120.5000")])
def test_signs(value: float, text: str) -> None:
    assert signed(value) == text


def test_a_seed_under_two_names_makes_no_certainty(seeded_sweep: Path, tmp_path: Path, edit_record: Edit) -> None:
    folder = tmp_path / "grown"
    for run in ("control", "gini-1"):
        for new in (run, f"{run}-seed0"):
            shutil.copytree(seeded_sweep / f"{run}-seed0", folder / new, ignore=shutil.ignore_patterns("points"))
        edit_record(folder / run, {"name": run})
    (front,) = read_fronts(folder, FEW)
    chosen = next(setting for setting in front.settings if setting.name == "gini-1")
    assert [point.record.seed for point in chosen.points] == [0]
    assert ENGLISH.interval_source(chosen) == "paired over users"
    assert chosen.change(front.axes[0]).low < chosen.change(front.axes[0]).estimate
