"""docs/objective.md, "A regularizer of your own": one file and one YAML in a folder of the user's, swept as it is."""

from __future__ import annotations

import re

import pytest

from run.command import ROOT
from run.tiny import record_of

GUIDE = (ROOT / "docs" / "objective.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The guide's code block in this language."""
    own = GUIDE[GUIDE.index("## A regularizer of your own") :]
    found = re.search(rf"```{language}\n(.*?)```", own, re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """What the guide tells the user to write; the folder is on PYTHONPATH."""
    folder = tmp_path / "own"
    (folder / "conf" / "diversity").mkdir(parents=True)
    (folder / "largest.py").write_text(block("python"), encoding="utf-8")
    (folder / "conf" / "diversity" / "largest_category.yaml").write_text(block("yaml"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.slow
def test_a_regularizer_from_another_folder_is_swept(own_folder, tiny_shop, tmp_path):
    searched = f"hydra.searchpath=[file://{own_folder}/conf]"
    grid = ("diversity=largest_category,[gini,largest_category]", "beta=1", "hydra.sweeper.baselines=[]")
    answer = tiny_shop.sweep(tmp_path / "sweep", searched, *grid)
    assert answer.code == 0, answer.text
    for name, kinds in (
        ("largest_category-1", {"largest_category"}),
        ("gini+largest_category-1", {"gini", "largest_category"}),
    ):
        record = record_of(tmp_path / "sweep" / name)
        assert set(record["objective"]["diversity"]) == kinds
        assert all(record["objective"]["ratio"][kind] > 0 for kind in kinds)
    report = (tmp_path / "sweep" / "report.html").read_text(encoding="utf-8")
    assert 'aria-label="loss/task"' in report, "the curves need no logger"


def test_a_name_that_is_in_no_folder_is_told(own_folder, tiny_shop, tmp_path):
    answer = tiny_shop.sweep(tmp_path / "sweep", "diversity=largest_category,gini", "beta=1,2")
    assert answer.code != 0
    assert "diversity/largest_category" in answer.text
