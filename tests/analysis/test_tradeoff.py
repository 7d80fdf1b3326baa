"""Which control a point has, which series it belongs to, and what the table says."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from divrec.analysis import place_points, read_record, read_sweep, tradeoff_table
from divrec.analysis.records import Sweep
from divrec.analysis.tradeoff import Point
from divrec.errors import RecordError

Edit = Callable[[Path, dict[str, object]], None]


def renamed(folder: Path, names: dict[str, str]) -> Sweep:
    """A sweep of some records of a folder under other names."""
    records = {record.name: record for record, _ in read_sweep(folder).points}
    return Sweep("renamed", tuple((replace(records[old], name=new), folder) for new, old in names.items()))


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
