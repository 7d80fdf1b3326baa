"""The report is one whole page: offline, escaped, with every point and every finding in it."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis.conftest import FEW
from divrec.analysis import FrontSummary, build_front
from divrec.analysis.interactive_chart import charts
from divrec.analysis.report_lists import user_lists
from divrec.analysis.report_points import config_digest

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


def test_has_light_dark_and_print(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_a_name_cannot_break_out(sweep_folder: Path) -> None:
    path = sweep_folder / "sweep.json"
    path.write_text(path.read_text().replace('"name": "beta_x_loss"', '"name": "<script>alert(1)</script>"'))
    build_front(sweep_folder, options=FEW)
    assert "<script>alert" not in (sweep_folder / "report.html").read_text()
