"""The notebook runs on any finished sweep, and is stored with its outputs."""

from __future__ import annotations

import nbformat
import pytest
from nbclient import NotebookClient

from run.command import ROOT

NOTEBOOK = ROOT / "notebooks" / "read_a_front.ipynb"


def texts(notebook):
    return [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.slow
def test_it_reads_a_tiny_sweep(tiny_sweep, monkeypatch):
    monkeypatch.setenv("DIVREC_SWEEP", str(tiny_sweep.folder))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    said = "".join(texts(notebook))
    assert "tiny: 10 points, 0 missing, 0 broken" in said
    assert "operating point" in said
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 2


def test_it_is_stored_executed_small_and_without_paths_of_a_machine():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert sum(bool(cell.outputs) for cell in code) >= 6
    kinds = {output.output_type for cell in code for output in cell.outputs}
    assert "error" not in kinds
    assert NOTEBOOK.stat().st_size < 300_000
    assert str(ROOT) not in NOTEBOOK.read_text(encoding="utf-8")
