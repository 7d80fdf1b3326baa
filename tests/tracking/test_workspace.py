"""The saved workspace, as the spec that a server would store."""

from __future__ import annotations

import json
import sys

import pytest

from divrec.errors import ConfigError
from divrec.run.dashboard import main
from divrec.tracking import weights_and_biases as wb
from divrec.tracking import workspace
from run.command import command
from tracking.test_tracking import FINAL_NAMES, STEP_NAMES


@pytest.fixture
def spec():
    return workspace.spec_of(workspace.tradeoff_workspace("tiny", "divrec", "team"))


def sections(spec):
    return {each["name"]: each["panels"] for each in spec["section"]["panelBankConfig"]["sections"]}


def metrics_of(panel):
    config = panel["config"]
    named = [config.get("xAxis"), config.get("yAxis"), *config.get("metrics", [])]
    return {name.removeprefix("summary:") for name in named if name}


def test_it_shows_the_runs_of_one_sweep(spec):
    (runs,) = spec["section"]["runSets"]
    (condition,) = runs["filters"]["filters"]
    assert condition["key"] == {"section": "run", "name": "group"}
    assert condition["value"] == "tiny"
    assert runs["runFeed"]["columnPinned"]["summary:validation/gini@10"]


def test_its_first_section_is_the_trade_off_as_it_comes_about(spec):
    assert list(sections(spec)) == ["Trade-off", "Front", "Training"]
    scatters = [panel for panel in sections(spec)["Trade-off"] if panel["viewType"] == "Scatter Plot"]
    assert {(panel["config"]["xAxis"], panel["config"]["yAxis"]) for panel in scatters} == {
        (f"summary:validation/{name}@10", "summary:validation/ndcg@10")
        for name in ("gini", "coverage", "simpson", "ilad", "ilmd")
    }


def test_panels_name_only_what_a_run_logs(spec):
    logged = FINAL_NAMES | STEP_NAMES | {"trainer/global_step"}
    panels = [panel for section in sections(spec).values() for panel in section]
    named = set().union(*map(metrics_of, panels))
    assert len(panels) > 15
    assert named <= logged
    media = [key for panel in panels for key in panel["config"].get("mediaKeys", [])]
    assert media == ["front/picture", "front/report"]


def test_other_list_sizes():
    named = set().union(
        *(
            metrics_of(panel)
            for section in sections(workspace.spec_of(workspace.tradeoff_workspace("s", "p", "e", 20))).values()
            for panel in section
        )
    )
    assert "validation/ndcg@20" in named
    assert not any(name.endswith("@10") for name in named)


def test_the_command_writes_the_spec_before_the_sweep_has_a_folder(tmp_path, spec):
    answer = command(main, f"dir={tmp_path / 'tiny'}")
    assert answer.code == 0, answer.text
    written = json.loads((tmp_path / "tiny" / "dashboard.json").read_text(encoding="utf-8"))
    assert {name: len(panels) for name, panels in sections(written).items()} == {
        name: len(panels) for name, panels in sections(spec).items()
    }


def test_online_it_is_saved_for_the_account(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(workspace, "save", lambda built: saved.append(built) or "https://somewhere")
    monkeypatch.setattr(wb, "has_key", lambda: True)
    answer = command(main, f"dir={tmp_path / 'tiny'}", "wandb_mode=online", "wandb_entity=team", "wandb_project=shop")
    assert answer.code == 0, answer.text
    assert "saved: https://somewhere" in answer.text
    assert [(each.entity, each.project, each.name) for each in saved] == [("team", "shop", "tiny trade-off")]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["wandb_mode=online", "wandb_entity=null"], ["WANDB_ENTITY"]),
        (["wandb_mode=online", "wandb_entity=team"], ["WANDB_API_KEY"]),
        (["k=0"], ["k:", "at least 1"]),
    ],
)
def test_mistakes(overrides, words, tmp_path, monkeypatch):
    monkeypatch.setattr(wb, "has_key", lambda: False)
    answer = command(main, f"dir={tmp_path / 'tiny'}", *overrides)
    assert answer.code == 1
    assert "Traceback" not in answer.text
    assert all(word in answer.text for word in words)


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(ConfigError, match=r"divrec\[dashboard\]"):
        workspace.tradeoff_workspace("s", "p", "e")
