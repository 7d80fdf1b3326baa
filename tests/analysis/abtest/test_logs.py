"""From logs to users, what the arms were shown, and a simulated shop in which all rates are known."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from divrec.analysis.abtest import diversity_shown, experiment_users
from divrec.errors import DataError

ARMS = ("control", "treatment")
ASSIGNMENTS = pd.DataFrame(
    {
        "user_id": ["a", "b", "c", "c", "d", "a"],
        "arm": ["control", "treatment", "control", "treatment", "control", "control"],
    }
)
EXPOSURES = pd.DataFrame({"user_id": ["a", "a", "b", "c", "x"], "timestamp": [5, 3, 4, 4, 1]})
OUTCOMES = pd.DataFrame(
    {"user_id": ["a", "a", "a", "b", "d"], "timestamp": [2, 3, 9, 1, 7], "value": [10.0, 1.0, 2.0, 5.0, 3.0]}
)


def test_exposed_users_with_what_came_before_and_after() -> None:
    users = experiment_users(ASSIGNMENTS, EXPOSURES, OUTCOMES, ARMS)
    table = users.table.set_index("user_id")
    assert table.index.tolist() == ["a", "b"]
    assert table.loc["a", ["outcome", "before"]].tolist() == [3, 10]  # exposed at 3: that event counts as after
    assert table.loc["b", ["outcome", "before"]].tolist() == [0, 5]
    assert users.assigned == {"control": 2, "treatment": 1}
    assert users.left_out == {"in several arms": 1, "never exposed": 1, "exposed without an assignment": 1}
    assert users.arm("control").tolist() == [3]


def test_datetimes_are_timestamps_too() -> None:
    dated = [frame.assign(timestamp=pd.to_datetime(frame["timestamp"], unit="D")) for frame in (EXPOSURES, OUTCOMES)]
    plain = experiment_users(ASSIGNMENTS, EXPOSURES, OUTCOMES, ARMS).table
    assert experiment_users(ASSIGNMENTS, *dated, ARMS).table.equals(plain)


def test_broken_logs_are_refused() -> None:
    with pytest.raises(DataError, match="unknown arms"):
        experiment_users(ASSIGNMENTS, EXPOSURES, OUTCOMES, ("control", "other"))
    with pytest.raises(DataError, match="columns missing"):
        experiment_users(ASSIGNMENTS, EXPOSURES.drop(columns="timestamp"), OUTCOMES, ARMS)
    with pytest.raises(DataError, match="values missing"):
        experiment_users(ASSIGNMENTS, EXPOSURES, OUTCOMES.assign(value=math.nan), ARMS)


def test_arms_are_measured_on_audiences_of_one_size() -> None:
    generator = np.random.default_rng(0)
    users = pd.DataFrame({"user_id": [f"u{n}" for n in range(300)], "arm": ["control"] * 200 + ["treatment"] * 100})
    rows = [
        {"user_id": user, "item_id": f"i{item}"}
        for user, arm in zip(users["user_id"], users["arm"], strict=True)
        for item in generator.permutation(100 if arm == "treatment" else 30)[:5]
    ]
    found = diversity_shown(pd.DataFrame(rows), users, ARMS, 100, generator, resamples=50)
    table = found.set_index(["arm", "measure"])
    assert set(found["users"]) == {50}
    assert table.loc[("treatment", "coverage"), "low"] > table.loc[("control", "coverage"), "high"]
    assert table.loc[("treatment", "gini"), "high"] < table.loc[("control", "gini"), "low"]
    alike = diversity_shown(pd.DataFrame(rows), users.assign(arm="control"), ("control",), 100, generator, resamples=20)
    assert set(alike["users"]) == {150}
    with pytest.raises(DataError, match="fewer than two"):
        diversity_shown(pd.DataFrame(rows), users, ("control", "nobody"), 100, generator)


@pytest.mark.slow
def test_rates_on_a_simulated_shop_are_nominal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Path(__file__).parents[3] / "benchmarks" / "abtest_simulation.py"
    spec = importlib.util.spec_from_file_location("abtest_simulation", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "abtest_simulation", module)  # its dataclasses look there for their module
    spec.loader.exec_module(module)
    rates = module.simulate(module.Shop.make(users=300), 300)
    error = math.sqrt(0.05 * 0.95 / 300)
    for name in ("means", "ratios", "cuped"):
        assert rates.false_alarms[name] == pytest.approx(0.05, abs=4 * error), name
        assert rates.coverage[name] >= 0.95 - 4 * error, name
    assert rates.always_valid <= 0.05 + 2 * error
    assert rates.peeking > rates.false_alarms["means"]
    assert rates.narrower > 0
    assert rates.mismatches <= 0.02
