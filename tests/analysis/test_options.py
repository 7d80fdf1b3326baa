"""What a reader may ask of a front, and what is refused."""

import json
from pathlib import Path

import pytest

from divrec.analysis import FrontOptions, build_front
from divrec.errors import ConfigError

pytestmark = pytest.mark.usefixtures("coarse_pictures")


@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"measures": ()}, "measures"),
        ({"replicates": 5}, "replicates"),
        ({"users": -1}, "report.users"),
        ({"language": "fr"}, "report.language"),
        ({"accuracy": "luck"}, "accuracy"),
        ({"measures": ("gini", "beauty")}, "measures"),
    ],
)
def test_nonsense_is_refused(options: dict, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        FrontOptions(**options)
    assert str(caught.value).startswith(where)


def test_another_pair_leads(sweep_folder: Path) -> None:
    options = FrontOptions(accuracy="recall", measures=("ilmd", "coverage"), replicates=20, users=3)
    summary = build_front(sweep_folder, options=options)
    content = json.loads((sweep_folder / "front.json").read_text())
    assert content["accuracy"] == "recall@10"
    assert list(content["measures"]) == ["ilmd@10", "coverage@10"]
    assert content["operating_point"]["name"].startswith("control/mmr")
    assert "coverage@10+ilmd@10" in content["mean_gain"]
    assert (sweep_folder / "report.html").read_text().count('<div class="user">') == 3
    assert "Recall@10" in summary.headline
