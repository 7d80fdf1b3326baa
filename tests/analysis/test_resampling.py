"""Replicates of points: the same users for all of them, set-level values from whole lists, seeds resampled too."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from divrec.analysis import place_points, read_sweep
from divrec.analysis.comparison import compare, settings_of
from divrec.analysis.resampling import (
    Bootstrap,
    ControlReplicates,
    centered_set_level,
    set_level_replicates,
)
from divrec.analysis.significance import set_level_values
from divrec.analysis.statistics import draw_weights, list_matrix
from divrec.schema import TEST

FEW = Bootstrap(k=10, replicates=100)


def test_set_level_resamples_whole_users() -> None:
    slates = pd.DataFrame({"user_id": ["a", "a", "b", "b", "x"], "item_id": ["1", "2", "2", "3", "9"]})
    lists = list_matrix(slates, pd.Index(["a", "b"]))
    weights = np.array([[1, 1], [2, 0]], dtype=np.uint8)
    values = set_level_replicates(lists, weights, items=5)
    assert values[:, 0] == pytest.approx([3 / 5, 2 / 5])
    assert values[0, 1] == pytest.approx((0 * 1 + 2 * 1 + 4 * 2) / (5 * 4))
    assert values[1, 2] == pytest.approx(2 / 5)  # two items shown alike


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    slates = pd.DataFrame({"user_id": np.repeat(np.arange(30), 5), "item_id": random.integers(0, 40, 150)})
    lists = list_matrix(slates, pd.Index(np.arange(30)))
    weights = random.integers(0, 4, (23, 30)).astype(np.uint8)
    whole = set_level_replicates(lists, weights, items=50)
    monkeypatch.setattr("divrec.analysis.resampling._CHUNK", 100)
    assert set_level_replicates(lists, weights, items=50) == pytest.approx(whole)


def test_resampled_set_level_values_center_on_the_whole_audience() -> None:
    generator = np.random.default_rng(4)
    matrix = sparse.csr_array((generator.random((60, 200)) < 0.03).astype(np.int64))
    whole, drawn = centered_set_level(matrix, draw_weights(60, 300, generator), items=200)
    assert whole == pytest.approx(set_level_values(np.asarray(matrix.sum(0), dtype=np.int64)[None], 200)[0])
    assert drawn.shape == (300, 3)
    assert drawn.mean(0) == pytest.approx(whole)
    assert (drawn.std(0) > 0).all()


def test_a_point_against_itself_never_differs(written_sweep: Path) -> None:
    control = next(p for p in place_points(read_sweep(written_sweep)).points if p.record.name == "control")
    replicates = ControlReplicates(control, TEST, FEW)
    drawn = replicates.difference(control)
    assert {"ndcg@10", "coverage@10", "gini@10", "effective_coverage@10"} <= drawn.whole.keys()
    assert all(value == 0 for value in drawn.whole.values())
    assert all((values == 0).all() for values in drawn.replicates.values())
    for metric, values in replicates.own.replicates.items():
        assert values.std() > 0, metric
        assert values.mean() == pytest.approx(replicates.own.whole[metric], rel=0.05)


def test_only_the_wanted_metrics_are_resampled(written_sweep: Path) -> None:
    control = next(p for p in place_points(read_sweep(written_sweep)).points if p.record.name == "control")
    few = Bootstrap(k=10, replicates=20, metrics=("ilad@10",))
    wanted = {"ilad@10", "coverage@10", "gini@10", "effective_coverage@10"}
    assert ControlReplicates(control, TEST, few).own.whole.keys() == wanted


def test_replicates_of_settings_center_on_their_values(seeded_sweep: Path) -> None:
    points = place_points(read_sweep(seeded_sweep)).points
    for setting in settings_of(points, compare(points, FEW)):
        for name in ("test/ndcg@10", "validation/gini@10", "test/coverage@10"):
            drawn = setting.replicates[name]
            assert drawn.shape == (100,)
            assert drawn.mean() == pytest.approx(setting.values[name], abs=4 * drawn.std() / 10 + 1e-9), setting.name


def test_a_missing_seed_borrows_its_control(seeded_sweep: Path) -> None:
    points = [p for p in place_points(read_sweep(seeded_sweep)).points if p.record.name != "gini-0.3-seed2"]
    settings = {setting.name: setting for setting in settings_of(points, compare(points, FEW))}
    drawn, value = settings["gini-0.3"].replicates["test/gini@10"], settings["gini-0.3"].values["test/gini@10"]
    assert drawn.mean() == pytest.approx(value, abs=5 * drawn.std() / 10)
