"""What a source is, what it gives, and what a rule of the door is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa
from ibis.expr.types import BooleanValue, Table, Value

# What happens to rows that break a rule.
REFUSE, SET_ASIDE, MEND, KEEP = "refuse", "set_aside", "mend", "keep"


@dataclass(frozen=True)
class Rule:
    """Something that can be wrong with a row, and what is done about it.

    Attributes:
        name: as it stands in the quarantine file and in the manifest.
        broken: Ibis expression on the table that is true for the rows that break the rule; null counts as false.
        mend: what the owner of the log can do about it.
        key: what a config calls it, under data.validation.rules; empty = the rule cannot be changed.
        default: what is done about broken rows: "refuse", "set_aside", "mend" or "keep".
        mended: new values of columns where a row breaks the rule.
        drops: mending means that the row is left out (and counted), as another row says the same.
        can_keep: rows can stay as they are ("keep").
        needs: the rule is skipped where the table lacks this column.
    """

    name: str
    broken: Callable[[Table], BooleanValue]
    mend: str
    key: str = ""
    default: str = SET_ASIDE
    mended: Callable[[Table], Mapping[str, Value]] | None = None
    drops: bool = False
    can_keep: bool = False
    needs: str | None = None

    @property
    def can_mend(self) -> bool:
        """Whether broken rows can be mended."""
        return self.drops or self.mended is not None


@dataclass(frozen=True)
class RawLog:
    """A behavior log and its catalogue as a source gives them; nothing is checked yet.

    Attributes:
        events: a row an event, as a table or as a stream of batches (logs that do not fit into memory): user_id and
            item_id (strings), timestamp (whole numbers since the epoch, int64; seconds, or a finer unit that the door
            mends), event (string: the kind). May follow: quantity (number), `problem` (what the reader found wrong with
            the row, else null), `original` (what stood there instead), and further columns, which rules can read and
            the quarantine file keeps.
        catalogue: a row an item: item_id and text (strings), categories (a string or a list of strings; may be absent),
            further columns for a text template.
        source: facts for the manifest, as `Source.describe` gives them.
        rules: the source's own reasons to set events aside, beside those that hold for every log.
    """

    events: pa.Table | pa.RecordBatchReader
    catalogue: pa.Table
    source: dict[str, Any]
    rules: tuple[Rule, ...] = field(default=())


class Source(Protocol):
    """Something that a log can be read from."""

    @property
    def name(self) -> str:
        """Short name; prepared datasets carry it."""
        ...

    def describe(self) -> dict[str, Any]:
        """Plain facts that decide the content, among them a content hash; quick, as every run asks for them."""
        ...

    def read(self) -> RawLog:
        """The whole log."""
        ...
