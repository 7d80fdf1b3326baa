"""Real data that is not part of the project, from the documented commands; DIVREC_DATA names the folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = os.environ.get("DIVREC_DATA")
pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(SHARED is None, reason="DIVREC_DATA does not name the folder of the real data sets"),
]


def _prepared(data: str, folder: str, outputs: Path) -> dict:
    root = Path(str(SHARED)) / folder
    if not root.is_dir():
        pytest.skip(f"{folder} is not in the folder that DIVREC_DATA names")
    command = [sys.executable, "-m", "divrec.run.data", f"data={data}", f"data.root={root}", f"paths.outputs={outputs}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    path = next((outputs / "datasets").iterdir())
    assert (path / "data_card.html").is_file()
    return json.loads((path / "manifest.json").read_text())


def test_beauty_has_the_counts_of_the_papers(tmp_path: Path) -> None:
    manifest = _prepared("amazon", "amazon_beauty", tmp_path)
    assert (manifest["users"], manifest["items"], manifest["events"]) == (22_363, 12_101, 198_502)
    assert manifest["splits"]["train"] == {"users": 22_363, "events": 198_502 - 2 * 22_363}
    for name in ("validation", "test"):
        assert manifest["splits"][name] == {"users": 22_363, "targets": 22_363}
    assert manifest["set_aside"] == manifest["mended"] == {}


def test_online_retail_by_global_time(tmp_path: Path) -> None:
    manifest = _prepared("uci_online_retail", "uci_online_retail", tmp_path)
    assert manifest["set_aside"] == {
        "no user id": 135_080,
        "stock code is no product": 1_913,
        "unit price is not positive": 40,
    }
    assert (manifest["users"], manifest["items"], manifest["events"]) == (4_057, 3_135, 260_728)
    assert manifest["left_out"]["events that remove others"] == 8_539
    assert manifest["splits"]["test"]["end"] == "2011-12-10T00:00:00+00:00"
    assert manifest["category_source"].startswith("none: clusters")
