"""The rule table of the door: what can be wrong with a row of a log or of a catalogue, and what is done by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ibis
from ibis.expr.types import BooleanValue, StringValue, Table, Value

from divrec.data.reading.columns import QUANTITY_IS_UNREADABLE, TIME_IS_UNREADABLE
from divrec.data.reading.decoding import TEXT_IS_BROKEN
from divrec.data.reading.delimited import ROW_IS_MALFORMED
from divrec.data.reading.json_lines import ROW_IS_NO_OBJECT
from divrec.data.sources.source import KEEP, MEND, REFUSE, SET_ASIDE, Rule
from divrec.schema import EVENT, ITEM_ID, PROBLEM, QUANTITY, ROW, TEXT, TIMESTAMP, USER_ID

# 1980-01-01 and 2100-01-01 in seconds: what lies outside is a finer unit, days, or a default value.
EARLIEST, LATEST = 315_532_800, 4_102_444_800
_FINER_UNITS = (1_000, 1_000_000, 1_000_000_000)
LONGEST_ID, LONGEST_TEXT = 256, 20_000

# Columns that the door adds while it works.
# KNOWN = row of the item in the catalogue; TWIN = an id that differs by case only, TWIN_ROW = its row.
TABLE, KNOWN, TWIN, TWIN_ROW = "table", "catalogue_row", "id_of_other_case", "row_of_other_case"
USER_TWIN = "user_of_other_case"
ADDED = (TABLE, KNOWN, TWIN, TWIN_ROW, USER_TWIN)

_ENCODING = "Give the file's encoding, as encoding: cp1252, under data.source."
_MALFORMED = "Check separator and quotes; a separator inside a field wants quotes around the field."


def blank(column: StringValue) -> BooleanValue:
    """Null, empty or nothing but spaces."""
    return column.isnull() | (column.strip() == "")


def _problem(name: str, key: str, mend: str, can_mend: bool = False, default: str = SET_ASIDE) -> Rule:
    """A rule about what the reader found wrong."""
    return Rule(
        name,
        lambda t: t[PROBLEM] == name,
        mend,
        key=key,
        default=default,
        mended=(lambda t: {PROBLEM: ibis.null("string")}) if can_mend else None,
        needs=PROBLEM,
    )


def _stripped(*names: str) -> tuple[Rule, ...]:
    return tuple(_strip_rule(name) for name in names)


def _strip_rule(name: str) -> Rule:
    return Rule(
        f"{name} has spaces around it",
        lambda t: t[name] != t[name].strip(),
        "Trim the column.",
        key="spaces",
        default=MEND,
        mended=lambda t: {name: t[name].strip()},
    )


def _in_finer_unit(t: Table) -> BooleanValue:
    return ibis.or_(*(_within(t, unit) for unit in _FINER_UNITS))


def _within(t: Table, unit: int) -> BooleanValue:
    return (t[TIMESTAMP] >= EARLIEST * unit) & (t[TIMESTAMP] < LATEST * unit)


def _in_seconds(t: Table) -> Mapping[str, Value]:
    cases = [(_within(t, unit), (t[TIMESTAMP] - t[TIMESTAMP] % unit) / unit) for unit in _FINER_UNITS]
    return {TIMESTAMP: ibis.cases(*cases, else_=t[TIMESTAMP].cast("float64")).cast("int64")}


# Before items are looked up in the catalogue.
EARLY_EVENT_RULES: tuple[Rule, ...] = (
    *_stripped(USER_ID, ITEM_ID, EVENT),
    Rule(
        "timestamp is in a finer unit than seconds",
        _in_finer_unit,
        "Timestamps are whole seconds since 1970: divide milliseconds by 1000.",
        key="time_unit",
        default=MEND,
        mended=_in_seconds,
    ),
)

ITEM_CASE = Rule(
    "item id differs from the catalogue's by case",
    lambda t: t[KNOWN].isnull() & t[TWIN].notnull(),
    "Write item ids alike in log and catalogue.",
    key="item_case",
    default=MEND,
    mended=lambda t: {ITEM_ID: t[TWIN], KNOWN: t[TWIN_ROW]},
)

USER_CASE = Rule(
    "user ids differ only by case",
    lambda t: t[USER_TWIN].notnull(),
    "Write user ids alike; or set data.preparation.validation.rules.user_case to mend (they are one user) or keep "
    "(case carries meaning).",
    key="user_case",
    default=REFUSE,
    mended=lambda t: {USER_ID: t[USER_TWIN]},
    can_keep=True,
)

DUPLICATE_EVENT = Rule(
    "event repeats an earlier row",
    lambda t: ibis.row_number().over(group_by=[USER_ID, ITEM_ID, TIMESTAMP, EVENT], order_by=ROW) > 0,
    "Events of one user with one item at one time count once anyway.",
    key="duplicate",
    default=KEEP,
    drops=True,
    can_keep=True,
)


_UNREADABLE_OR_MISSING: tuple[Rule, ...] = (
    _problem(ROW_IS_MALFORMED, "malformed", _MALFORMED),
    _problem(ROW_IS_NO_OBJECT, "malformed", "JSON lines: one object a line."),
    _problem(TEXT_IS_BROKEN, "encoding", _ENCODING, can_mend=True),
    _problem(TIME_IS_UNREADABLE, "time_format", "Give its form, as time_format: '%d.%m.%Y', under data.source."),
    _problem(QUANTITY_IS_UNREADABLE, "quantity_format", "Quantities are plain numbers with a decimal point."),
    Rule("no user id", lambda t: blank(t[USER_ID]), "Give every event a user id.", key="no_user"),
    Rule("no item id", lambda t: blank(t[ITEM_ID]), "Give every event an item id.", key="no_item"),
    Rule(
        f"id is longer than {LONGEST_ID} characters",
        lambda t: (t[USER_ID].length() > LONGEST_ID) | (t[ITEM_ID].length() > LONGEST_ID),
        "Check quotes and separators: a field may have swallowed its neighbors.",
        key="long_id",
    ),
    Rule("no timestamp", lambda t: t[TIMESTAMP].isnull(), "Give every event a timestamp.", key="no_time"),
    Rule(
        "timestamp is before 1980 or after 2100",
        lambda t: (t[TIMESTAMP] < EARLIEST) | (t[TIMESTAMP] >= LATEST),
        "Timestamps are whole seconds since 1970; divide milliseconds by 1000.",
        key="time_range",
    ),
)


def late_event_rules(event_kinds: Sequence[str], latest: int) -> tuple[Rule, ...]:
    """Rules for events whose items have been looked up; a row counts under the first that it breaks.

    Args:
        event_kinds: kinds that have a weight or a role.
        latest: seconds since the epoch; what comes later is in the future.
    """
    return (
        *_UNREADABLE_OR_MISSING,
        Rule(
            "event lies in the future",
            lambda t: t[TIMESTAMP] > latest,
            "Check day and month, and the clock; data.preparation.validation.as_of moves the border.",
            key="future",
            can_keep=True,
        ),
        Rule(
            "event kind has no weight",
            lambda t: t[EVENT].isnull() | t[EVENT].notin(list(event_kinds)),
            "Name the kind under preparation.event_weights; a weight of 0 leaves it out on purpose.",
            key="kind",
        ),
        Rule(
            "item is not in the catalogue",
            lambda t: t[KNOWN].isnull(),
            "Compare the item ids of log and catalogue: type, leading zeros, spaces.",
            key="unknown_item",
        ),
        Rule(
            "quantity is not positive",
            lambda t: t[QUANTITY] <= 0,
            "Give returns a kind of their own (with the role `removes`), or drop them.",
            key="quantity",
            can_keep=True,
            needs=QUANTITY,
        ),
    )


CATALOGUE_RULES: tuple[Rule, ...] = (
    *(
        Rule(rule.name, rule.broken, rule.mend, key="catalogue_spaces", default=MEND, mended=rule.mended)
        for rule in _stripped(ITEM_ID)
    ),
    Rule(
        f"text is longer than {LONGEST_TEXT} characters",
        lambda t: t[TEXT].length() > LONGEST_TEXT,
        "Check quotes: a text may have swallowed rows. Mended texts are cut.",
        key="catalogue_long_text",
        default=MEND,
        mended=lambda t: {TEXT: t[TEXT].left(LONGEST_TEXT)},
    ),
    _problem(ROW_IS_MALFORMED, "catalogue_malformed", _MALFORMED),
    _problem(ROW_IS_NO_OBJECT, "catalogue_malformed", "JSON lines: one object a line."),
    _problem(TEXT_IS_BROKEN, "catalogue_encoding", _ENCODING, can_mend=True, default=REFUSE),
    Rule("no item id", lambda t: blank(t[ITEM_ID]), "Give every item an id.", key="catalogue_no_item"),
    Rule(
        f"id is longer than {LONGEST_ID} characters",
        lambda t: t[ITEM_ID].length() > LONGEST_ID,
        "Check quotes and separators: a field may have swallowed its neighbors.",
        key="catalogue_long_id",
    ),
    Rule(
        "no text",
        lambda t: blank(t[TEXT]),
        "The language model needs a text for every item.",
        key="catalogue_no_text",
        mended=lambda t: {TEXT: t[ITEM_ID]},
    ),
    Rule(
        "an item stands in the catalogue more than once",
        lambda t: ibis.row_number().over(group_by=ITEM_ID, order_by=ROW) > 0,
        "Keep one row an item. (mend keeps the first.)",
        key="catalogue_duplicate",
        default=REFUSE,
        drops=True,
    ),
    Rule(
        "item ids differ only by case",
        lambda t: ibis.row_number().over(group_by=t[ITEM_ID].lower(), order_by=[ITEM_ID, ROW]) > 0,
        "Write item ids alike; or set data.preparation.validation.rules.catalogue_case to mend (one item, the first id "
        "in the alphabet stays) or keep (case carries meaning).",
        key="catalogue_case",
        default=REFUSE,
        drops=True,
        can_keep=True,
    ),
)


def named_for_catalogue(rule: Rule) -> str:
    """Name of a catalogue's rule beside those of the events."""
    return f"catalogue: {rule.name}"
