"""Two languages say the same things."""

import json
import re
import string
from importlib.resources import files
from pathlib import Path

import pytest

from divrec.analysis import FrontOptions, FrontSummary, build_front
from divrec.analysis.report_cells import interval_cell
from divrec.analysis.statistics import Interval
from divrec.analysis.wording import ENGLISH, decimals, number, words_in

CHINESE = words_in("zh")


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_text_has_both_languages() -> None:
    own = {key for key in CHINESE.texts if not key.startswith(("measure.", "short."))}
    assert own == ENGLISH.texts.keys()  # English names of measures stand with the measures themselves


@pytest.mark.parametrize("key", sorted(ENGLISH.texts))
def test_texts_take_the_same_values(key: str) -> None:
    assert fields(ENGLISH[key]) == fields(CHINESE[key])


def test_every_text_is_used() -> None:
    root = Path(str(files("divrec.analysis")))
    code = "".join(path.read_text(encoding="utf-8") for path in root.rglob("*") if path.suffix in (".py", ".j2"))
    composed = ("kind.", "group.", "grouping.", "claim.", "knobs.", "points.", "provenance.")
    plain = [key for key in ENGLISH.texts if not key.startswith(composed)]
    assert [key for key in plain if f'"{key}"' not in code and f"'{key}'" not in code] == []


def test_the_report_speaks_chinese(built: FrontSummary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("divrec.analysis.plots._DPI", 40)
    options = FrontOptions(replicates=20, language="zh")
    folder = tmp_path / "zh"
    folder.mkdir()
    for run in built.folder.iterdir():
        if run.name in ("control", "gini-0.2", "gini-0.3", "sweep.json"):
            (folder / run.name).symlink_to(run)
    build_front(folder, options=options)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert '<html lang="zh">' in page
    text = re.sub(r"<style>.*?</style>|<script>.*?</script>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert "\u6743\u8861\u66f2\u7ebf" in text  # trade-off
    names = json.dumps([key for key in ENGLISH.texts if len(ENGLISH[key]) > 12 and ENGLISH[key] in text])
    assert names == "[]"


@pytest.mark.parametrize(
    ("interval", "text", "style"),
    [
        (Interval(2e-9, 1e-9, 3e-9), "0.0000", ""),
        (Interval(-2e-9, -3e-9, -1e-9), "0.0000", ""),
        (Interval(4e-5, 1e-5, 2e-4), "0.0000 (0.0000 to +0.0002)", ""),
        (Interval(0.01, 1e-9, 0.02), "+0.0100 (0.0000 to +0.0200)", "up"),
        (Interval(-0.01, -0.02, -0.005), "\u22120.0100 (\u22120.0200 to \u22120.0050)", "down"),
        (Interval(0.01, -0.01, 0.02), "+0.0100 (\u22120.0100 to +0.0200)", ""),
        (Interval(0.01), "+0.0100", ""),
    ],
)
def test_what_rounds_to_zero_has_neither_color_nor_ends(interval: Interval, text: str, style: str) -> None:
    assert ENGLISH.change(interval) == text
    assert interval_cell(interval, ENGLISH).style == style


@pytest.mark.parametrize(
    ("step", "digits"),
    [(5, 0), (1, 0), (0.5, 1), (0.25, 2), (0.1, 1), (0.0025, 4), (0.00025, 5), (2e-7, 7), (250.0, 0)],
)
def test_even_marks_of_a_scale_look_even(step: float, digits: int) -> None:
    assert decimals(step) == digits
    marks = [float(number(step * place, digits)) for place in range(8)]
    assert [round(after - before, 9) for before, after in zip(marks, marks[1:], strict=False)] == [step] * 7
