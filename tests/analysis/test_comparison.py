"""Points against their control on the delivered lists, and settings averaged over seeds."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from divrec.analysis import Interval, place_points, read_sweep
from divrec.analysis.axes import Axis
from divrec.analysis.comparison import Setting, compare, moves_nothing, settings_of
from divrec.analysis.resampling import Bootstrap
from divrec.analysis.seeds_and_users import differences_over_seeds, user_variances
from divrec.schema import TEST

FEW = Bootstrap(k=10, replicates=100)
GINI = Axis("gini@10", "1 - Gini", "1 - Gini", inverted=True, set_level=True)
NDCG = Axis("ndcg@10", "NDCG", "NDCG")


def settings_in(folder: Path) -> dict[str, Setting]:
    points = place_points(read_sweep(folder)).points
    comparisons = compare(points, FEW)
    assert comparisons.broken == ()
    return {setting.name: setting for setting in settings_of(points, comparisons)}


def test_changes_agree_with_the_records(written_sweep: Path) -> None:
    settings = settings_in(written_sweep)
    control, gini = settings["control"], settings["gini-0.3"]
    for metric in ("ndcg@10", "ilmd@10", "coverage@10", "gini@10"):
        difference = gini.values[f"test/{metric}"] - control.values[f"test/{metric}"]
        assert gini.changes[metric].estimate == pytest.approx(difference, abs=1e-12)
        assert gini.changes[metric].low < difference < gini.changes[metric].high
        assert control.changes[metric] == Interval(0.0, 0.0, 0.0)
    assert gini.change(GINI).low > 0
    assert gini.change(GINI).estimate == -gini.changes["gini@10"].estimate


def test_set_level_interval_has_the_spread_of_new_users(written_sweep: Path) -> None:
    # Halves of the users are independent: their differences scatter like the interval of a half, sqrt 2 wider.
    setting = settings_in(written_sweep)["gini-0.3"]
    width = setting.changes["coverage@10"].high - setting.changes["coverage@10"].low
    slates = [pd.read_parquet(written_sweep / name / "slates.parquet") for name in ("gini-0.3", "control")]
    random, differences = np.random.default_rng(0), []
    for _ in range(60):
        half = {f"u{user}" for user in random.choice(300, 150, replace=False)}
        shown = [s[(s["split"] == TEST) & s["user_id"].isin(half)]["item_id"].nunique() / 500 for s in slates]
        differences.append(shown[0] - shown[1])
    assert 0.4 < width / (4 * np.std(differences)) < 2.5


def test_unreadable_points_are_named(sweep_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (sweep_folder / "gini-1" / "users.parquet").unlink()
    points = place_points(read_sweep(sweep_folder)).points
    comparisons = compare(points, FEW)
    assert "gini-1" not in comparisons.changes
    assert len(comparisons.broken) == 1
    assert "users.parquet" in comparisons.broken[0]
    assert "gini-1" in caplog.text
    assert "gini-1" not in [setting.name for setting in settings_of(points, comparisons)]


def test_only_common_users_are_compared(sweep_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = sweep_folder / "gini-0.3" / "users.parquet"
    users = pd.read_parquet(path)
    users[users["user_id"] != "u7"].to_parquet(path)
    points = [p for p in place_points(read_sweep(sweep_folder)).points if p.record.name in ("control", "gini-0.3")]
    changes = compare(points, FEW).changes
    control = pd.read_parquet(sweep_folder / "control" / "users.parquet").query("split == 'test' and user_id != 'u7'")
    mine = users[(users["split"] == TEST) & (users["user_id"] != "u7")]
    expected = mine["ndcg@10"].mean() - control["ndcg@10"].mean()
    assert changes["gini-0.3"]["ndcg@10"].estimate == pytest.approx(expected)
    assert "299 users" in caplog.text


def test_seeds_are_averaged_and_their_spread_and_that_of_users_is_the_interval(seeded_sweep: Path) -> None:
    settings = settings_in(seeded_sweep)
    gini = settings["gini-0.3"]
    assert [point.record.seed for point in gini.points] == [0, 1, 2]
    values = [point.record.metrics[TEST]["ndcg@10"] for point in gini.points]
    assert gini.values["test/ndcg@10"] == pytest.approx(np.mean(values))
    own = [point.record.metrics[TEST]["ndcg@10"] for point in settings["control"].points]
    differences = np.subtract(values, own)
    assert gini.changes["ndcg@10"].estimate == pytest.approx(differences.mean())
    half = 4.302653 * differences.std(ddof=1) / np.sqrt(3)
    over_users = [(each["ndcg@10"].high - each["ndcg@10"].low) / 2 for each in gini.by_seed]
    reach = gini.changes["ndcg@10"].high - differences.mean()
    assert np.hypot(half, 0.5 * np.mean(over_users)) < reach < np.hypot(half, 1.2 * np.mean(over_users))


def test_a_dozen_users_are_judged_as_a_dozen(seeded_sweep: Path, tmp_path: Path) -> None:
    folder = tmp_path / "few"
    shutil.copytree(seeded_sweep, folder)
    few = [f"u{number}" for number in range(12)]
    tables = {}
    for path in [*folder.glob("gini-0.3*/users.parquet"), *folder.glob("control*/users.parquet")]:
        users = pd.read_parquet(path)
        users[users["user_id"].isin(few)].to_parquet(path)
        tables[path.parent.name] = users[users["split"] == TEST].set_index("user_id").loc[few, ["ndcg@10"]]
    points = [each for each in place_points(read_sweep(folder)).points if each.record.name in tables]
    settings = {each.name: each for each in settings_of(points, compare(points, Bootstrap(k=10, replicates=4000)))}
    gini, control = settings["gini-0.3"].points, settings["control"].points
    names = zip(gini, control, strict=True)
    differences = np.stack([tables[one.record.name] - tables[other.record.name] for one, other in names])
    variances, users_of = user_variances(differences)
    (wanted,), _ = differences_over_seeds(differences.mean(axis=1), variances, users_of)
    found = settings["gini-0.3"].changes["ndcg@10"]
    assert found.estimate == pytest.approx(wanted.estimate)
    assert found.high - found.low == pytest.approx(wanted.high - wanted.low, rel=0.03)


def test_a_missing_seed_is_no_effect_of_the_point(seeded_sweep: Path) -> None:
    points = [p for p in place_points(read_sweep(seeded_sweep)).points if p.record.name != "gini-0.3-seed2"]
    settings = {setting.name: setting for setting in settings_of(points, compare(points, FEW))}
    gini, control = settings["gini-0.3"], settings["control"]
    assert len(gini.points) == 2
    difference = gini.values["test/ndcg@10"] - control.values["test/ndcg@10"]
    assert difference == pytest.approx(gini.changes["ndcg@10"].estimate)


@pytest.mark.parametrize(
    ("ndcg", "gini", "expected"),
    [
        (Interval(0.0, -0.01, 0.01), Interval(0.0, -0.1, 0.1), True),
        (Interval(-0.002, -0.003, -0.001), Interval(0.0, -0.1, 0.1), True),  # 0.7 % of .3
        (Interval(-0.03, -0.04, -0.02), Interval(0.0, -0.1, 0.1), False),
        (Interval(0.0, -0.01, 0.01), Interval(-0.1, -0.12, -0.08), False),
        (Interval(0.0), Interval(0.0), False),  # no interval, no verdict
    ],
)
def test_no_effect_needs_both(written_sweep: Path, ndcg: Interval, gini: Interval, expected: bool) -> None:
    point = place_points(read_sweep(written_sweep)).points[0]
    values = {"test/ndcg@10": 0.3, "test/gini@10": 0.5}
    setting = Setting("x", (replace(point),), values, {"ndcg@10": ndcg, "gini@10": gini})
    assert moves_nothing(setting, (NDCG, GINI)) is expected


def test_a_wide_interval_over_seeds_hides_no_effect(seeded_sweep: Path) -> None:
    gini = settings_in(seeded_sweep)["gini-0.5"]
    wide = replace(gini, changes={metric: Interval(i.estimate, -9.0, 9.0) for metric, i in gini.changes.items()})
    assert wide.change(GINI).includes_zero
    assert not moves_nothing(wide, (NDCG, GINI))
