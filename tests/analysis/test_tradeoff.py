"""Which control a point has, which series it belongs to, and what the table says."""

import json
import math
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from divrec.analysis import place_points, read_record, read_sweep, tradeoff_table
from divrec.analysis.records import Sweep
from divrec.analysis.tradeoff import Point
from divrec.errors import RecordError
from divrec.schema import RunRecord

Edit = Callable[[Path, dict[str, object]], None]


def renamed(folder: Path, names: dict[str, str], controls: tuple[str, ...] = ()) -> Sweep:
    """A sweep of some records of a folder under other names, each of the seed that its name tells."""
    records = {record.name: record for record, _ in read_sweep(folder).points}
    points = []
    for new, old in names.items():
        seed = int(found[1]) if (found := re.search(r"-seed(\d)", new)) else 0
        identity = f"{old} of seed {seed}"
        points.append((replace(records[old], name=new, seed=seed, identity=identity), folder))
    return Sweep("renamed", tuple(points), controls=controls)


def by_name(sweep: Sweep) -> dict[str, Point]:
    return {point.record.name: point for point in place_points(sweep).points}


def test_series_and_strengths(written_sweep: Path) -> None:
    points = by_name(read_sweep(written_sweep))
    assert len(points) == 24
    found = {name: (point.series, point.strength) for name, point in points.items()}
    assert found["gini-0.3"] == ("gini", 0.3)
    assert found["control/mmr-0.2"] == ("mmr on control", 0.2)
    assert found["gini-0.3/mmr-0.1"] == ("mmr on gini-0.3", 0.1)
    assert found["popular"][0] == "popular"
    assert math.isnan(found["control"][1])
    assert {point.control for point in points.values()} == {"control"}


def test_interpolations_are_a_series_of_their_own(written_sweep: Path) -> None:
    records = {record.name: record for record, _ in read_sweep(written_sweep).points}
    mixed = replace(records["gini-0.5"], name="gini-0.5/a-0.6", interpolation={"control": 0.4, "gini-0.5": 0.6})
    again = replace(mixed, name="gini-0.5/a-0.6-mmr", rerank={"name": "mmr", "diversity": 0.3})
    sweep = Sweep("x", tuple((record, written_sweep) for record in (records["control"], mixed, again)))
    points = by_name(sweep)
    assert (points[mixed.name].series, points[mixed.name].strength) == ("interpolation to gini-0.5", 0.6)
    assert (points[again.name].series, points[again.name].strength) == ("mmr on 0.6 gini-0.5", 0.3)


def test_each_seed_and_task_has_its_own_control(written_sweep: Path) -> None:
    names = {"control-bpr-seed0": "control", "control-bpr-seed1": "control", "control-bce-seed0": "control"}
    names |= {
        "gini-0.3-bpr-seed1": "gini-0.3",
        "gini-0.3-bce-seed0/mmr-0.1": "gini-0.3",
        "gini-0.3-bce-seed1": "gini-0.3",
    }
    names |= {"popular": "popular"}
    placement = place_points(renamed(written_sweep, names))
    found = {(p.record.name, p.group): (p.control, p.setting) for p in placement.points}
    assert found["gini-0.3-bpr-seed1", "bpr"] == ("control-bpr-seed1", "gini-0.3")
    assert found["gini-0.3-bce-seed0/mmr-0.1", "bce"] == ("control-bce-seed0", "gini-0.3/mmr-0.1")
    assert found["popular", "bpr"] == ("control-bpr-seed0", "popular")
    assert found["popular", "bce"] == ("control-bce-seed0", "popular")
    assert placement.left_out == ("gini-0.3-bce-seed1: its own control is missing",)


GROWN = {"control": "control", "gini-1": "gini-1", "control/mmr-0.2": "control/mmr-0.2", "popular": "popular"}
GROWN |= {f"{name}-seed0": name for name in ("control", "gini-1", "gini-0.5", "popular")}
GROWN |= {"control-seed0/mmr-0.2": "control/mmr-0.2"}
GROWN |= {f"{name}-seed1": name for name in ("control", "gini-1", "gini-0.5", "popular")}


def test_a_sweep_that_grew_by_seeds_counts_each_seed_once(written_sweep: Path) -> None:
    placement = place_points(renamed(written_sweep, GROWN))
    seeds: dict[str, list[int]] = {}
    for point in placement.points:
        seeds.setdefault(point.setting, []).append(point.record.seed)
    assert seeds == {"control": [0, 1], "gini-1": [0, 1], "control/mmr-0.2": [0], "popular": [0, 1], "gini-0.5": [0, 1]}
    found = {point.record.name: point.control for point in placement.points}
    assert (found["gini-1"], found["gini-0.5-seed0"], found["gini-1-seed1"]) == ("control", "control", "control-seed1")
    assert placement.left_out == (
        "control-seed0: the same training as control, counted once",
        "gini-1-seed0: the same training as gini-1, counted once",
        "popular-seed0: the same training as popular, counted once",
        "control-seed0/mmr-0.2: the same training as control/mmr-0.2, counted once",
    )


def test_of_two_controls_of_a_seed_with_other_settings_the_first_counts(written_sweep: Path) -> None:
    sweep = renamed(written_sweep, GROWN)
    points = [
        (replace(record, identity="other") if record.name == "control-seed0" else record, folder)
        for record, folder in sweep.points
    ]
    placement = place_points(replace(sweep, points=tuple(points)))
    names = {point.record.name for point in placement.points}
    assert not names & {"control-seed0", "gini-1-seed0", "gini-0.5-seed0"}
    assert "gini-0.5-seed0: control-seed0 has the seed of control, and other settings" in placement.left_out


def test_a_setting_and_seed_that_is_there_twice_counts_once(written_sweep: Path) -> None:
    records = {record.name: record for record, _ in read_sweep(written_sweep).points}
    again = replace(records["gini-1"], identity="trained again")
    sweep = Sweep("x", tuple((record, written_sweep) for record in (records["control"], records["gini-1"], again)))
    placement = place_points(sweep)
    assert len(placement.points) == 2
    assert placement.left_out == ("gini-1: the same setting and seed as gini-1, counted once",)


@pytest.mark.parametrize("tail", ["-seed1", "-taskbce", "-taskbce-seed1"])
def test_a_point_whose_own_control_is_missing_is_not_compared_with_another(written_sweep: Path, tail: str) -> None:
    names = {"control": "control", f"base{tail}": "base", f"gini-1{tail}": "gini-1", f"gini-1{tail}/a": "gini-1"}
    placement = place_points(renamed(written_sweep, names, controls=("control", f"control{tail}")))
    assert [point.record.name for point in placement.points] == ["control"]
    assert placement.left_out[1] == f"gini-1{tail}: its own control is missing"
    assert len(placement.left_out) == 3


def test_without_a_sweep_file_the_run_itself_tells_its_own_control(written_sweep: Path) -> None:
    sweep = renamed(written_sweep, {"control": "control", "gini-1-seed1": "gini-1"})
    names = ("gini-1-taskbce", "gini-1-num_negatives100", "trial-3", "gini-1-seed1")
    control, seeded = (record for record, _ in sweep.points)
    bce = replace(seeded, seed=0, identity="bce", objective=seeded.objective | {"task": "bce"})
    sampled = replace(bce, identity="sampled", config=bce.config | {"task": {"num_negatives": 100}})
    found = zip((bce, sampled, replace(bce, identity="trial"), seeded), names, strict=True)
    records = (control, *(replace(record, name=name) for record, name in found))
    placement = place_points(Sweep("x", tuple((record, written_sweep) for record in records)))
    assert [point.record.name for point in placement.points] == ["control", "trial-3"]  # a search may draw the task
    assert placement.left_out == (
        "gini-1-taskbce: its own control is missing (task bce, not cross_entropy as control)",
        "gini-1-num_negatives100: its own control is missing (task.num_negatives 100, not None as control)",
        "gini-1-seed1: its own control is missing (seed 1, not 0 as control)",
    )


def test_a_control_with_a_broken_record_is_missing(seeded_sweep: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(seeded_sweep, tmp_path / "grown"))
    description = json.loads((folder / "sweep.json").read_text())
    description["expected"].insert(0, {"name": "control", "kind": "control"})
    (folder / "sweep.json").write_text(json.dumps(description))
    (folder / "control-seed1" / "record.json").write_text("{")
    sweep = read_sweep(folder)
    assert sweep.controls == ("control", "control-seed0", "control-seed1", "control-seed2")
    placement = place_points(sweep)
    assert "gini-1-seed1: its own control is missing" in placement.left_out
    assert {point.record.seed for point in placement.points if point.setting == "gini-1"} == {0, 2}


def test_points_on_other_data_are_left_out(sweep_folder: Path, edit_record: Edit) -> None:
    edit_record(sweep_folder / "gini-0.1", {"data": {"fingerprint": "other", "items": 500}})
    edit_record(sweep_folder / "gini-0.2", {"exclude_seen": False})
    placement = place_points(read_sweep(sweep_folder))
    assert len(placement.points) == 22
    assert "other data" in placement.left_out[0]
    assert "exclude_seen" in placement.left_out[1]


def test_points_measured_with_another_ruler_are_left_out(sweep_folder: Path, edit_record: Edit) -> None:
    data = read_record(sweep_folder / "control").data
    rulers = {"control": ("a", "b"), "gini-0.1": ("a", "b"), "gini-0.2": ("x", "b"), "popular": ("a", "x")}
    for name, (vectors, categories) in rulers.items():
        edit_record(sweep_folder / name, {"data": data | {"ruler": {"vectors": vectors, "categories": categories}}})
    placement = place_points(read_sweep(sweep_folder))
    assert placement.left_out == (
        "gini-0.2: measured with other vectors than control (another encoder?)",
        "popular: measured with other categories than control (another encoder?)",
    )


def test_no_control_says_what_to_do(sweep_folder: Path) -> None:
    (sweep_folder / "control" / "record.json").unlink()
    with pytest.raises(RecordError, match="control") as caught:
        place_points(read_sweep(sweep_folder))
    assert "Run the sweep again" in str(caught.value)


def test_table_has_a_row_a_point_and_both_splits(written_sweep: Path) -> None:
    points = place_points(read_sweep(written_sweep)).points
    table = tradeoff_table(points).set_index("name")
    assert len(table) == 24
    row = table.loc["gini-0.3/mmr-0.1"]
    assert (row["regularizer"], row["beta"], row["rerank"], row["rerank_diversity"]) == ("gini", 0.3, "mmr", 0.1)
    assert row["cost/steps"] == 300
    assert {"validation/ndcg@10", "test/gini@10"} <= set(table.columns)
    assert not [name for name in table.columns if name.startswith("config/")]  # beta has a column of its own


def trial(name: str, record: RunRecord, config: dict[str, object]) -> RunRecord:
    return replace(record, name=name, identity=name, config=record.config | config)


def test_config_keys_that_differ_have_a_column(written_sweep: Path) -> None:
    records = {record.name: record for record, _ in read_sweep(written_sweep).points}
    drawn = {"paths": {"outputs": "a"}, "trainer": {"devices": 1}, "task": {"_target_": "divrec.Bce"}}
    drawn |= {"relaxation": {"width": 0.05}, "tuning": {"_target_": "divrec.models.Frozen"}, "user": {"sizes": [8, 8]}}
    control = trial("control", records["control"], drawn | {"schedule": {"steps": 9}})
    other = drawn | {"relaxation": {"width": 0.2}, "tuning": {"_target_": "divrec.models.Lora", "rank": 4}}
    other |= {"user": {"sizes": [16]}, "paths": {"outputs": "b"}, "diversity": {"gini": {"order": 1}}}
    seventh = trial("trial-7", records["gini-1"], other | {"schedule": {"steps": 9}})
    popular = trial("popular", records["popular"], other | {"schedule": {"steps": 1}})
    base = trial("base", records["base"], drawn | {"schedule": {"steps": 100}})
    sweep = Sweep("x", tuple((record, written_sweep) for record in (control, seventh, popular, base)))
    table = tradeoff_table(place_points(sweep).points).set_index("name")
    columns = [name for name in table.columns if name.startswith("config/")]
    assert columns == ["config/relaxation.width", "config/tuning", "config/user.sizes"]
    assert table.loc["trial-7", columns].tolist() == [0.2, "Lora", "[16]"]
    assert table.loc["control", columns].tolist() == [0.05, "Frozen", "[8, 8]"]
    assert table.loc["popular", columns].isna().all()
