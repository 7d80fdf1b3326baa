"""Item texts, user profile texts and category levels."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from divrec.data import CategoryPath, PreparedData, ProfileText, TextTemplate
from divrec.data.text import cut, fill
from divrec.errors import ConfigError, DataError

TEMPLATE = "{title}[, by {brand}][ in {categories}]"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"title": "Polish", "brand": "OPI", "categories": ["Nails", "Gifts"]}, "Polish, by OPI in Nails and Gifts"),
        ({"title": "Polish", "brand": None, "categories": ["Nails"]}, "Polish in Nails"),
        ({"title": "Polish", "brand": "  ", "categories": []}, "Polish"),
        ({"title": None, "brand": "OPI", "categories": None}, "by OPI"),
        ({"title": None, "brand": None, "categories": None}, ""),
        ({"title": "指甲油", "brand": "欧派", "categories": None}, "指甲油, by 欧派"),
        ({"title": "💅🏽 polish", "brand": None, "categories": ["🎁"]}, "💅🏽 polish in 🎁"),
        ({"title": "50% off {now}", "brand": None, "categories": None}, "50% off {now}"),
    ],
)
def test_missing_fields_vanish_cleanly(fields: dict, text: str) -> None:
    assert TextTemplate(TEMPLATE).render(fields) == text


@pytest.mark.parametrize(
    ("template", "fields", "text"),
    [
        ("{a}, {b}, {c}", {"a": "x", "b": None, "c": "z"}, "x, z"),
        ("{a}, {b}, {c}", {"a": None, "b": None, "c": "z"}, "z"),
        ("{a}: {b}.", {"a": "x", "b": None}, "x:."),
        ("{{{a}}}", {"a": "x"}, "{x}"),
        ("{a} | {b}", {"a": "x", "b": ""}, "x"),
    ],
)
def test_what_missing_fields_leave_is_cleaned_away(template: str, fields: dict, text: str) -> None:
    assert fill(template, fields) == text


@pytest.mark.parametrize(
    ("text", "tokens", "wanted"),
    [
        ("one two three", 2, "one two"),
        ("one, two", 2, "one"),  # the comma is a token, and no end of a text
        ("红色指甲油", 3, "红色指"),
        ("ไทย สวย", 2, "ไท"),
        ("💅🏽💅🏽💅🏽", 2, "💅🏽💅🏽"),
        ("👩\u200d🚀 astronaut", 1, "👩\u200d🚀"),
        ("cafe\u0301 noir", 1, "cafe\u0301"),
        ("short", 9, "short"),
    ],
)
def test_length_is_in_tokens_of_any_script(text: str, tokens: int, wanted: str) -> None:
    assert cut(text, tokens) == wanted


@given(text=st.text(max_size=80), tokens=st.integers(1, 12))
def test_a_cut_text_is_a_beginning_and_stays_cut(text: str, tokens: int) -> None:
    short = cut(text, tokens)
    assert text.startswith(short)
    assert cut(short, tokens) == short


def test_a_template_makes_the_column_text() -> None:
    catalogue = pa.table({"item_id": ["a", "b"], "title": ["apple", None], "text": ["old", "words"]})
    made = TextTemplate("{title}[ ({text})]")(catalogue)
    assert made.column("text").to_pylist() == ["apple (old)", "(words)"]
    assert TextTemplate("{title}")(catalogue.drop_columns("text")).column("text").to_pylist() == ["apple", None]
    with pytest.raises(DataError, match="no field color"):
        TextTemplate("{color}")(catalogue)


@pytest.mark.parametrize("template", ["no field", "{", "{0}", "{a b}"])
def test_templates_without_sense_are_refused(template: str) -> None:
    with pytest.raises(ConfigError, match=r"text\.template"):
        TextTemplate(template)


def test_profiles_tell_the_recent_history() -> None:
    texts = ["a", "b", "c", "b", "d"]
    assert ProfileText().render(texts) == "d; b; c; a"
    assert ProfileText(limit=2).render(texts) == "d; b"
    assert ProfileText("bought: {items}", ", ", "oldest_first", 3).render(texts) == "bought: c, b, d"
    assert ProfileText(max_tokens=1).render(texts) == "d"
    for arguments in ({"template": "{user}"}, {"order": "random"}, {"limit": 0}):
        with pytest.raises(ConfigError, match="profile"):
            ProfileText(**arguments)


def test_profiles_of_a_split(shop: PreparedData) -> None:
    texts = shop.catalogue["text"][:]
    profiles = ProfileText(limit=3, max_tokens=1000).of_split(shop.splits["test"], shop.catalogue)
    assert len(profiles) == len(shop.splits["test"])
    for profile, row in zip(profiles, shop.splits["test"], strict=True):
        assert profile.startswith(texts[row["items"][-1]])


@pytest.mark.parametrize(
    ("level", "separator", "column", "wanted"),
    [
        (0, "|", ["A|B|C", "A", None, " "], ["A", "A", None, None]),
        (1, "|", ["A|B|C", "A", " D | E ", "|"], ["B", "A", "E", None]),
        (-1, ">", ["A>B>C", "A"], ["C", "A"]),
        (1, "|", [["A|B", "C|D|E"], None, []], [["B", "D"], [], []]),
    ],
)
def test_category_levels(level: int, separator: str, column: list, wanted: list) -> None:
    catalogue = pa.table({"item_id": [str(n) for n in range(len(column))], "categories": column})
    levels = CategoryPath(level, separator)(catalogue)
    assert levels.column("categories").to_pylist() == wanted
    assert "category_path" in levels.column_names
    with pytest.raises(DataError, match="no categories"):
        CategoryPath()(catalogue.drop_columns("categories"))
