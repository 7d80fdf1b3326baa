"""Texts for the language model: of an item from catalogue fields, of a user from what the history holds."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from divrec.errors import ConfigError, DataError
from divrec.schema import TEXT

# A token here: a run of letters and digits, one sign of a script without spaces, or any other sign. Language models cut
# words further, so they see at least as many; their own limit cuts once more.
_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# What belongs to the sign before it: joiners, variation selectors, skin tones, combining marks.
_CLINGING = "\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\u0300-\u036f\u20e3"
_TOKEN = re.compile(
    rf"(?:[{_NO_SPACES}]|[^\W{_NO_SPACES}]+|[^\w\s](?:[{_CLINGING}]+(?:(?<=\u200d)[^\w\s])?)*)[{_CLINGING}]*"
)
_SECTION = re.compile(r"\[([^\[\]]*)\]")
_GAPS = (
    (re.compile(r"\s+"), " "),
    (re.compile(r"\s+([,;:.!?)])"), r"\1"),
    (re.compile(r"([,;:])(?:\s*[,;:])+"), r"\1"),
)
_EDGES = " ,;:-|/"


def cut(text: str, max_tokens: int) -> str:
    """The first tokens of a text in any script; a cluster (an emoji with its skin tone) is never torn apart."""
    ends = [match.end() for match in _TOKEN.finditer(text)]
    return text if len(ends) <= max_tokens else text[: ends[max_tokens - 1]].rstrip(_EDGES)


@dataclass(frozen=True)
class TextTemplate:
    """An item's text from fields of the catalogue.

    Attributes:
        template: "{title}[, by {brand}][ in {categories}]": fields in braces; a part in brackets vanishes as a whole
            where one of its fields is missing. What a missing field leaves outside of brackets (doubled commas and
            spaces, signs at the ends) is cleaned away. Lists are joined by " and "; doubled braces are braces.
        max_tokens: longer texts are cut. Smaller = faster encoding, less of each item is known.
    """

    template: str
    max_tokens: int = 64

    def __post_init__(self) -> None:
        """Refuse a template without fields, or one that is none."""
        _check_template(self.template, "data.preparation.text.template")
        if self.max_tokens < 1:
            raise ConfigError("must be at least 1", where="data.preparation.text.max_tokens", got=self.max_tokens)

    def __call__(self, catalogue: pa.Table) -> pa.Table:
        """The catalogue with the text of every item; an existing column `text` can be one of the fields.

        Raises:
            DataError: the catalogue lacks a field.
        """
        fields = _fields(self.template)
        missing = [name for name in fields if name not in catalogue.column_names]
        if missing:
            raise DataError(
                f"the catalogue has no field {', '.join(missing)}",
                where="data.preparation.text.template",
                got=catalogue.column_names,
                mend="Name the catalogue's fields, and map them in the source.",
            )
        columns = {name: catalogue.column(name).to_pylist() for name in fields}
        rows = zip(*columns.values(), strict=True)
        texts = pa.array([self.render(dict(zip(fields, row, strict=True))) or None for row in rows], pa.string())
        if TEXT in catalogue.column_names:
            return catalogue.set_column(catalogue.column_names.index(TEXT), TEXT, texts)
        return catalogue.append_column(TEXT, texts)

    def render(self, fields: Mapping[str, Any]) -> str:
        """The text of one item."""
        return cut(fill(self.template, fields), self.max_tokens)


@dataclass(frozen=True)
class ProfileText:
    """A user's text from the recent history.

    Attributes:
        template: of the whole; `{items}` is the list.
        separator: between items.
        order: "recent_first" or "oldest_first".
        limit: last distinct items that enter: fewer = only the latest taste.
        max_tokens: longer texts are cut at the end, so `recent_first` keeps what is recent.
    """

    template: str = "{items}"
    separator: str = "; "
    order: str = "recent_first"
    limit: int = 10
    max_tokens: int = 256

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        if _fields(self.template) != ["items"]:
            raise ConfigError("must hold {items} and no other field", where="profile.template", got=self.template)
        if self.order not in ("recent_first", "oldest_first"):
            raise ConfigError('must be "recent_first" or "oldest_first"', where="profile.order", got=self.order)
        if self.limit < 1 or self.max_tokens < 1:
            raise ConfigError(
                "must be at least 1", where="profile.limit, profile.max_tokens", got=(self.limit, self.max_tokens)
            )

    def render(self, texts: Sequence[str]) -> str:
        """The text of one user from the texts of a history, oldest first."""
        latest = list(dict.fromkeys(reversed(texts)))[: self.limit]
        ordered = latest if self.order == "recent_first" else latest[::-1]
        return cut(fill(self.template, {"items": self.separator.join(ordered)}), self.max_tokens)

    def of_split(self, split: Dataset, catalogue: Dataset) -> list[str]:
        """The text of every user of a split.

        Args:
            split: rows with `items`, oldest first.
            catalogue: rows with `text`.
        """
        texts = pa.array(catalogue[TEXT][:])
        column = split.with_format("arrow")[:].column("items").combine_chunks()
        words = texts.take(column.flatten()).to_pylist()
        ends = pc.cumulative_sum(pc.list_value_length(column)).to_pylist()
        starts = [0, *ends[:-1]]
        return [self.render(words[start:end]) for start, end in zip(starts, ends, strict=True)]


def fill(template: str, fields: Mapping[str, Any]) -> str:
    """A template with its fields; what is missing vanishes cleanly."""
    values = {name: _plain(value) for name, value in fields.items()}
    text = _SECTION.sub(lambda part: _section(part.group(1), values), template)
    text = _formatted(text, values)
    for gap, mended in _GAPS if any(not value for value in values.values()) else _GAPS[:1]:
        text = gap.sub(mended, text)
    return text.strip(_EDGES) if any(not value for value in values.values()) else text.strip()


def _section(part: str, values: Mapping[str, str]) -> str:
    return part if all(values.get(name) for name in _fields(part)) else ""


def _formatted(text: str, values: Mapping[str, str]) -> str:
    pieces = string.Formatter().parse(text)
    return "".join(literal + (values.get(name, "") if name is not None else "") for literal, name, _, _ in pieces)


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " and ".join(str(each).strip() for each in value if each is not None and str(each).strip())
    return "" if value is None else str(value).strip()


def _fields(template: str) -> list[str]:
    return list(dict.fromkeys(name for _, name, _, _ in string.Formatter().parse(template) if name is not None))


def _check_template(template: str, where: str) -> None:
    try:
        names = _fields(template)
    except ValueError as error:
        raise ConfigError(f"is no template ({error})", where=where, got=template) from error
    if not names or not all(name.isidentifier() for name in names):
        raise ConfigError("needs fields in braces", where=where, got=template, mend='Example: "{title}[, by {brand}]".')
