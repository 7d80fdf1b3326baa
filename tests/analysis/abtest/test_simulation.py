"""A simulated shop in which all rates are known, and the page that reports them."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from divrec.analysis.abtest import inverse_propensity


@pytest.mark.slow
def test_rates_on_a_simulated_shop_are_nominal(monkeypatch: pytest.MonkeyPatch) -> None:
    module = _benchmark(monkeypatch)
    tally = module.Tally()
    module.simulate(module.Shop.make(users=300), 300, tally)
    rates = tally.table().set_index(["what", "rate_of"])["rate"]
    error = math.sqrt(0.05 * 0.95 / 300)
    alarms, coverage = rates.xs("false alarms", level=1), rates.xs("holds the truth", level=1)
    for name in ("difference of means", "difference of ratios", "CUPED"):
        assert alarms[name] == pytest.approx(0.05, abs=4 * error), name
        assert coverage[name] >= 0.95 - 4 * error, name
    for outcome in ("purchases", "rare"):
        assert alarms[f"always-valid, 14 looks, {outcome}"] <= 0.05 + 2 * error
        assert coverage[f"always-valid, 14 looks, {outcome}"] >= 0.95 - 2 * error
    assert alarms["plain interval, 14 looks, purchases"] > alarms["difference of means"]
    assert rates["CUPED", "interval narrower by"] > 0
    assert rates["sample ratio", "false alarms"] <= 0.02


@pytest.mark.slow
def test_policies_are_estimated_from_a_simulated_shop(monkeypatch: pytest.MonkeyPatch) -> None:
    module = _benchmark(monkeypatch)
    logs = list(module.logged_views(60, 50, seed=3))
    errors = [inverse_propensity(log.events).estimate - log.truth for log in logs]
    assert abs(np.mean(errors)) < 4 * np.std(errors) / math.sqrt(60)  # the propensities are the simulator's
    assert np.mean([log.events.weights_E.mean() for log in logs]) == pytest.approx(1, abs=0.02)
    tally = module.Tally()
    module.simulate_policies(100, 50, tally)
    assert (tally.table()["rate"] >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / 100)).all()


def test_the_page_of_rates_is_that_of_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    module = _benchmark(monkeypatch)
    table = pd.read_csv(module.RESULTS, keep_default_na=True)
    assert module.page(table) == module.RESULTS.with_suffix(".md").read_text(encoding="utf-8")
    assert (table["verdict"] != "broken").mean() > 0.9


def _benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    file = Path(__file__).parents[3] / "benchmarks" / "abtest_simulation.py"
    spec = importlib.util.spec_from_file_location("abtest_simulation", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "abtest_simulation", module)  # its dataclasses look there for their module
    spec.loader.exec_module(module)
    return module
