"""The page on comparisons: its commands are configurations, its example runs, its figures are those of the code."""

from __future__ import annotations

import re
import shlex

import pytest
from hydra import compose, initialize_config_dir
from scipy import stats

from divrec.run.door import CONF
from run.command import ROOT

PAGE = (ROOT / "docs" / "comparing.md").read_text(encoding="utf-8")
COMMANDS = [
    line for text in re.findall(r"```bash\n(.*?)```", PAGE, flags=re.DOTALL) for line in text.splitlines() if line
]
(EXAMPLE,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page(line: str) -> None:
    words = shlex.split(line)
    assert words[:3] == ["python", "-m", "divrec.run.compare"]
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("compare", overrides=words[3:])
    assert config.a
    assert config.b


def test_the_example_finds_what_was_simulated() -> None:
    found: dict[str, object] = {}
    exec(compile(EXAMPLE, "docs/comparing.md", "exec"), found)  # noqa: S102 - our own page
    effect, plain = found["effect"], found["plain"]
    assert effect.difference.low > 0
    assert effect.difference.low < 0.5 < effect.difference.high
    assert effect.standard_error < plain.standard_error
    assert 0.3 < found["explained"] < 1
    assert found["verdict"] == {"purchases": "safe"}
    shown = found["shown"].set_index(["arm", "measure"])["value"]
    assert shown["diverse", "coverage"] > shown["control", "coverage"]


def test_the_page_stretches_as_students_t_does() -> None:
    for seeds, stretch in re.findall(r"^\| (\d) \| ([\d.]+)-fold \|", PAGE, flags=re.MULTILINE):
        assert float(stretch) == pytest.approx(stats.t.ppf(0.975, int(seeds) - 1), abs=0.05)
    assert len(re.findall("-fold", PAGE)) == 3
