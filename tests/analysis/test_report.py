"""The report is one whole page: offline, escaped, with every point and every finding in it."""

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest

from analysis.conftest import FEW
from divrec.analysis import FrontSummary, build_front
from divrec.analysis.comparison import Setting
from divrec.analysis.front_files import front_table
from divrec.analysis.group_front import GroupFront
from divrec.analysis.interactive_chart import charts, hover_text
from divrec.analysis.report_curves import CURVE_HEIGHT, curve_charts, read_curve
from divrec.analysis.report_groups import group_tables
from divrec.analysis.report_lists import ListedItem, user_lists
from divrec.analysis.report_points import config_digest, point_columns, point_rows
from divrec.analysis.wording import ENGLISH
from divrec.errors import ConfigError
from divrec.schema import TEST, TRAINED

VOID = {"meta", "link", "img", "br", "hr", "input"}

pytestmark = pytest.mark.usefixtures("coarse_pictures")


class Checked(HTMLParser):
    """Checks that tags close in order, and collects tags and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(built: FrontSummary) -> str:
    return (built.folder / "report.html").read_text()


@pytest.fixture(scope="module")
def parsed(page: str) -> Checked:
    parser = Checked()
    parser.feed(page)
    return parser


def test_opens_offline_and_stays_small(page: str, parsed: Checked) -> None:
    assert not re.search(r"https?://|@import|url\((?!#)", page)
    assert not [tag for tag, attributes in parsed.tags if "src" in attributes or tag == "link"]
    assert len(page) < 1_000_000


def test_is_well_formed(parsed: Checked) -> None:
    assert parsed.open == []
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_numbers_in_drawings_are_finite(page: str) -> None:
    charts = re.findall(r"<svg class=\"chart\".*?</svg>", page, flags=re.DOTALL)
    assert len(charts) == 6
    for chart in charts:
        assert not re.search(r"\bnan\b|\binf\b", chart)
        assert chart.count('<circle class="dot"') >= 4  # the dots of gini
        assert "<title>" in chart


def test_dots_lie_inside_the_drawing(page: str) -> None:
    centers = re.findall(r'<circle class="dot" cx="([\d.-]+)" cy="([\d.-]+)"', page)
    assert len(centers) > 20
    assert all(0 <= float(x) <= 900 and 0 <= float(y) <= 520 for x, y in centers)


def test_labels_do_not_cover_each_other(built: FrontSummary) -> None:
    for chart in charts(built.groups[0]):
        dots = [dot for dot in (*chart.references, *(d for line in chart.lines for d in line.dots)) if dot.text]
        assert len(dots) >= 10
        for place, dot in enumerate(dots):
            for other in dots[:place]:
                wide = 3.3 * (len(dot.text) + len(other.text))
                assert abs(dot.text_x - other.text_x) > wide or abs(dot.text_y - other.text_y) > 8


def test_says_what_was_found_and_what_is_missing(built: FrontSummary, page: str) -> None:
    assert re.search(r"Knee of the front: \S+, .* In [\d.]+\u00a0?% of 60 resamples", page)
    assert "with several seeds for other seeds too (Student&#39;s t)" in page
    assert built.headline.replace("'", "&#39;") in page
    assert "1 expected point missing" in page
    assert "simpson-1" in page
    assert "no effect: costs nothing and moves nothing" in page
    assert "0123456789abcdef" in page
    assert config_digest(built.groups[0].operating.first.record) in page


def test_every_point_is_in_the_table_and_sortable(built: FrontSummary, page: str) -> None:
    table = re.search(r'<table class="sortable">(.*?)</table>', page, flags=re.DOTALL)
    assert table is not None
    assert table[1].count("<tr") == 1 + len(built.groups[0].settings)
    assert table[1].count("data-order=") == 13 * len(built.groups[0].settings)
    assert table[1].count('class="chosen"') == 1


def test_texts_are_escaped_and_lists_stand_side_by_side(page: str) -> None:
    assert "Product <" not in page
    assert "&gt; &amp; more" in page
    assert page.count('<div class="user">') == 10
    assert page.count('class="new"') > 10


def test_without_texts_lists_show_ids(built: FrontSummary) -> None:
    lists = user_lists(built.groups[0], {}, FEW)
    assert len(lists) == 10
    assert all(len(user.control) == len(user.chosen) == 10 for user in lists)
    assert lists[0].control[0].text.startswith("i")
    common = {item.text for item in lists[0].control if not item.only_here}
    assert common == {item.text for item in lists[0].chosen if not item.only_here}


def test_says_why_an_item_came(built: FrontSummary) -> None:
    texts = {f"i{item}": (f"Product {item}", (f"c{item % 7}",)) for item in range(500)}
    changed = [user for user in user_lists(built.groups[0], texts, FEW) if user.control != user.chosen]
    assert changed
    for user in changed:
        before, after = ({item.text: item for item in side} for side in (user.control, user.chosen))
        for item in user.chosen:
            assert item.only_here == (item.text not in before)
            assert (item.only_here and "shown to" in item.why) or not item.only_here
            new = item.category not in {other.category for other in user.control}
            assert ("new category" in item.why) == new
        moved = [item for item in user.chosen if item.why.startswith("was ")]
        for item in moved:
            assert list(before).index(item.text) + 1 == int(item.why.removeprefix("was "))
        count = len(after.keys() - before.keys())
        assert user.summary.startswith(f"{count} of 10 items changed")


def test_an_item_in_several_categories_is_new_where_one_of_them_is(built: FrontSummary) -> None:
    front = built.groups[0]
    user = next(user for user in user_lists(front, {}, FEW) if user.control != user.chosen)
    came, *others = [item.text for item in user.chosen if item.only_here]
    gone = [item.text for item in user.control if item.only_here]
    kept = [item.text for item in user.control if not item.only_here]
    texts = {item: (item, ("coffee",)) for item in (*others, *gone, *kept)} | {
        kept[0]: (kept[0], ("vegetables", "tea"))
    }

    def told(categories: tuple[str, ...]) -> tuple[ListedItem, str]:
        lists = user_lists(front, texts | {came: (came, categories)}, FEW)
        again = next(each for each in lists if each.user == user.user)
        return next(item for item in again.chosen if item.text == came), again.summary

    item, summary = told(("coffee", "vegetables"))
    assert item.category == "coffee, vegetables"
    assert "categor" not in item.why
    assert "categories 3 \u2192 3" in summary
    item, summary = told(("coffee", "bread"))
    assert item.why.endswith(", new category: bread")
    assert "categories 3 \u2192 4" in summary
    assert told(("bread",))[0].why.endswith(", new category")
    assert "categor" not in told(())[0].why


def test_categories_in_one_string_are_refused(sweep_folder: Path) -> None:
    with pytest.raises(ConfigError, match="categories are no tuple") as caught:
        build_front(sweep_folder, {"i1": ("A product", "coffee, vegetables")}, FEW)  # type: ignore[dict-item]
    assert '("coffee", "vegetables")' in str(caught.value)


def test_what_a_search_drew_is_told_at_the_point_and_in_the_tables(built: FrontSummary) -> None:
    front = built.groups[0]
    drawn = {"control": 0.05, "gini-0.2": 0.0123456}
    moved = replace(front, settings=tuple(_configured(s, drawn.get(s.name, 0.05)) for s in front.settings))
    chosen = next(setting for setting in moved.settings if setting.name == "gini-0.2")
    first, second, *_ = hover_text(moved, chosen, moved.axes[0]).split("\n")
    assert first == "gini-0.2, kind trained, regularizer gini, beta 0.2"
    assert second == "relaxation.width 0.01235"
    assert point_columns(moved, ENGLISH)[4] == "relaxation.width"
    row = next(row for row in point_rows(moved, ENGLISH) if row[0].text == "gini-0.2")
    assert (row[4].text, row[4].order) == ("0.01235", 0.0123456)
    random = next(row for row in point_rows(moved, ENGLISH) if row[0].text == "random")
    assert (random[4].text, random[4].order) == ("", "")
    table = front_table([moved]).set_index("name")
    assert table.loc["gini-0.2", "config/relaxation.width"] == 0.0123456


def _configured(setting: Setting, width: float) -> Setting:
    record = setting.first.record
    config = record.config | {"relaxation": {"width": width}}
    return replace(setting, points=(replace(setting.first, record=replace(record, config=config)),))


def test_what_is_not_on_disk_is_said(page: str) -> None:
    assert "No groups.parquet beside the records" in page
    assert "No curve is on disk" in page


def write_groups(folder: Path, shift: float) -> None:
    """Groups of a point: cold users lose, tail items gain."""
    rows = [
        (TEST, grouping, group, metric, value + shift * sign, users)
        for grouping, group, users, sign in (
            ("activity", "heavy", 200, 0.0),
            ("activity", "cold", 12, -1.0),
            ("popularity", "tail", 90, 1.0),
            *(("category", str(number), 40, number - 4.5) for number in range(10)),
        )
        for metric, value in (("ndcg@10", 0.2), ("gini@10", 0.7), ("ilad@10", 0.5), ("coverage@10", 0.4))
    ]
    frame = pd.DataFrame(rows, columns=["split", "grouping", "group", "metric", "value", "users"])
    frame.to_parquet(folder / "groups.parquet", index=False)


def test_groups_stand_side_by_side(built: FrontSummary, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(built.folder, tmp_path / "sweep"))
    front = built.groups[0]
    for name, shift in (("control", 0.0), (front.operating.name, 0.01)):
        write_groups(folder / name, shift)
    moved = replace(front, settings=tuple(_moved(setting, folder) for setting in front.settings))
    moved = replace(moved, control=_moved(front.control, folder))
    key = front.axes[0].key
    finding = replace(front.findings[key], operating=_moved(front.operating, folder))
    moved = replace(moved, findings=front.findings | {key: finding})
    activity, popularity, category = group_tables(moved, [f"shelf {number}" for number in range(10)], ENGLISH)
    assert activity.columns == ("activity", "users", "NDCG@10", "1 \u2212 Gini", "coverage", "Simpson", "ILAD")
    assert [row[0].text for row in activity.rows] == ["cold", "heavy"]
    assert all(cell.style == "few" for cell in activity.rows[0])
    assert popularity.rows[0][2].text == "0.200 \u2192 0.210"
    assert popularity.rows[0][2].style == "up"
    assert popularity.rows[0][3].text == "0.300 \u2192 0.290"  # 1 - Gini
    assert popularity.rows[0][5].text == "\u2013 \u2192 \u2013"  # Simpson was not measured
    assert [row[0].text for row in category.rows] == [f"shelf {number}" for number in (0, 1, 2, 7, 8, 9)]
    assert "10 categories" in category.columns[0]


def _moved(setting: Setting, folder: Path) -> Setting:
    place = folder / setting.name.replace("/", "/points/")
    return replace(setting, points=(replace(setting.first, folder=place),))


def test_curves_of_both_files_are_drawn(built: FrontSummary, tmp_path: Path) -> None:
    front, steps = built.groups[0], range(0, 100, 10)
    frames = {
        "control": pd.DataFrame({"step": steps, "validation/ndcg@10": [0.1 + 0.001 * step for step in steps]}),
        "gini-0.2": pd.DataFrame({"epoch": 0, "step": steps, "loss/task": [9.0 - 0.01 * step for step in steps]}),
    }
    for name, path in (("control", "curve.csv"), ("gini-0.2", "csv/metrics.csv")):
        (tmp_path / name / path).parent.mkdir(parents=True)
        frames[name].to_csv(tmp_path / name / path, index=False)
    moved = replace(front, settings=tuple(_moved(setting, tmp_path) for setting in front.settings))
    accuracy, loss = curve_charts(moved)
    assert (accuracy.label, loss.label) == ("validation/ndcg@10", "loss/task")
    assert [line.name for line in accuracy.lines] == ["control"]
    heights = [float(pair.split(",")[1]) for pair in loss.lines[0].polyline.split()]
    assert heights == sorted(heights)  # it falls, and SVG counts downward
    assert all(0 <= height <= CURVE_HEIGHT for height in heights)


def with_curves(front: GroupFront, folder: Path, frames: dict[str, pd.DataFrame]) -> GroupFront:
    """The front with curves on disk."""
    for name, frame in frames.items():
        (folder / name).mkdir()
        frame.to_csv(folder / name / "curve.csv", index=False)
    settings = {setting: _moved(setting, folder) for setting in front.settings}
    key = front.axes[0].key
    finding = replace(front.findings[key], operating=settings[front.operating])
    findings = front.findings | {key: finding}
    return replace(front, settings=tuple(settings.values()), control=settings[front.control], findings=findings)


def fine_tuned(loss: float) -> pd.DataFrame:
    """The curve of a point: loss on the way, one validation at the end."""
    values = {"validation/ndcg@10": [None] * 9 + [0.2], "loss/task": [loss - 0.01 * step for step in range(10)]}
    return pd.DataFrame({"step": range(15, 151, 15)} | values)


def base_curve() -> pd.DataFrame:
    steps = range(100, 1201, 100)
    return pd.DataFrame({"step": steps, "validation/ndcg@10": [0.0001 * s for s in steps], "loss/task": 9.0})


def test_a_run_that_was_validated_once_is_a_dot_with_its_name_beside_it(built: FrontSummary, tmp_path: Path) -> None:
    frames = {"base": base_curve(), "control": fine_tuned(9), "gini-0.2": fine_tuned(8), "gini-0.3": fine_tuned(7)}
    accuracy, loss, bases = curve_charts(with_curves(built.groups[0], tmp_path, frames))
    assert (accuracy.label, loss.label, bases.label) == ("validation/ndcg@10", "loss/task", "loss/task: base")
    ends = {line.name: line.end[0] for line in accuracy.lines}
    assert ends["base"] > ends["control"] == ends["gini-0.2"]
    places = []
    for line in accuracy.lines:
        assert bool(line.polyline) == (line.name == "base")
        assert line.text is not None
        assert 0 < line.text[0] - line.end[0] < 20  # its name does not pretend that it went on to the edge
        places.append(line.text)
    assert all(abs(one[1] - other[1]) >= 10 for one, other in combinations(sorted(places)[:3], 2))
    assert {line.name for line in loss.lines} == {"control", "gini-0.2", "gini-0.3"}
    assert all(len(line.polyline.split()) == 10 for line in loss.lines)


def test_of_many_lines_the_ones_that_matter_are_named(built: FrontSummary, tmp_path: Path) -> None:
    front = built.groups[0]
    trained = [s for s in front.settings if not s.first.derived and s.first.record.kind == TRAINED]
    copies = [_named(trained[0], f"gini-0.2{place}") for place in range(8)]
    front = replace(front, settings=(*front.settings, *copies))
    frames = {setting.name: fine_tuned(9) for setting in (*trained, *copies)}
    frames |= {"base": base_curve(), "control": fine_tuned(9)}
    loss = curve_charts(with_curves(front, tmp_path, frames))[1]
    assert len(loss.lines) > 17
    named = [line.name for line in loss.lines if line.text is not None]
    assert set(named) == {"control", front.operating.name}
    assert [line.name for line in loss.lines[-2:]] == named  # and lie on top


def _named(setting: Setting, name: str) -> Setting:
    record = replace(setting.first.record, name=name)
    return replace(setting, name=name, points=(replace(setting.first, record=record),))


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "step,x\n"])
def test_a_curve_that_cannot_be_read_is_no_curve(tmp_path: Path, text: str) -> None:
    (tmp_path / "curve.csv").write_text(text)
    assert read_curve(tmp_path).empty


def test_has_light_dark_and_print(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert "@media screen and (max-width: 900px)" in page  # paper is narrow too, and shows lists side by side
    assert not re.search(r"@media \(max-width", page)


def test_a_name_cannot_break_out(sweep_folder: Path) -> None:
    path = sweep_folder / "sweep.json"
    path.write_text(path.read_text().replace('"name": "beta_x_loss"', '"name": "<script>alert(1)</script>"'))
    build_front(sweep_folder, options=FEW)
    assert "<script>alert" not in (sweep_folder / "report.html").read_text()
