"""The door: what a log must look like, and which rows are mended, set aside with a reason, or make it refuse the log.

Refused always (DataError): a missing column, a wrong type, an empty table, and a log of which a single rule would set
aside more than half. What happens to single rows that break a rule, the rule says (see `rules`), or the config.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr.types import Table

from divrec.data.column_checks import check_catalogue, check_events
from divrec.data.engine import Engine
from divrec.data.rules import (
    ADDED,
    CATALOGUE_RULES,
    DUPLICATE_EVENT,
    EARLY_EVENT_RULES,
    ITEM_CASE,
    KNOWN,
    TABLE,
    TWIN,
    TWIN_ROW,
    USER_CASE,
    USER_TWIN,
    late_event_rules,
    named_for_catalogue,
)
from divrec.data.sources.source import KEEP, MEND, REFUSE, RawLog, Rule
from divrec.data.validation import Validation
from divrec.errors import DataError
from divrec.schema import CATEGORIES, EVENT, ITEM_ID, PROBLEM, ROW, RULE, TEXT, TIMESTAMP, USER_ID

_FLAG = "mended_"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Admitted:
    """What came through the door.

    Attributes:
        events: user_id (string), item_id (row in the source's catalogue), timestamp, event; duplicates are still in.
        catalogue: row, item_id, text and, where the source has them, categories; item ids are unique.
        quarantine: table ("events" or "catalogue"), row (from 0, in the source's order), rule, and all columns of the
            source as strings.
        set_aside: rows by rule; rules that no row broke are left out.
        mended: the same for rows that were mended and stayed.
        stored: what the engine keeps for `events`.
    """

    events: Table
    catalogue: pa.Table
    quarantine: pa.Table
    set_aside: dict[str, int]
    mended: dict[str, int]
    stored: tuple[Table, ...] = ()

    def release(self, engine: Engine) -> None:
        """Drop what the engine has stored; `events` cannot be read any more."""
        for table in self.stored:
            engine.drop(table)


def admit(log: RawLog, event_kinds: Sequence[str], engine: Engine, validation: Validation | None = None) -> Admitted:
    """Check a log and its catalogue; mend, set aside or refuse what is wrong with them.

    Args:
        log: as the source gave it.
        event_kinds: kinds of event that have a weight or a role; events of other kinds are set aside.
        engine: runs the rules.
        validation: what is done about rows that break a rule; None = the defaults.

    Raises:
        DataError: the log cannot be used; the message names table, column and remedy.
        ConfigError: `validation` names a rule that does not exist, or an action that it does not have.
    """
    validation = validation or Validation()
    late = late_event_rules(event_kinds, validation.latest())
    validation.refuse_unknown((*EARLY_EVENT_RULES, ITEM_CASE, USER_CASE, DUPLICATE_EVENT, *late, *CATALOGUE_RULES))
    check_events(log.events)
    check_catalogue(log.catalogue)

    items = _judge(engine.load(numbered(log.catalogue)), CATALOGUE_RULES, validation)
    known = _divide(items, engine, validation, "catalogue")
    early = _judge(engine.load(numbered(log.events)), EARLY_EVENT_RULES, validation)
    events = _judge_more(_looked_up(early, known.kept), (ITEM_CASE,), validation)
    events = _user_twins(events, early.table, engine, validation)
    events = _judge_more(events, (DUPLICATE_EVENT, *late, *log.rules), validation)
    found = _divide(events, engine, validation, "events")
    quarantine = pa.concat_tables([as_strings(found.aside), as_strings(known.aside)], promote_options="default")
    columns = [name for name in (ROW, ITEM_ID, TEXT, CATEGORIES) if name in known.kept.columns]
    return Admitted(
        events=found.kept.select(USER_ID, TIMESTAMP, EVENT, **{ITEM_ID: found.kept[KNOWN]}),
        catalogue=known.kept.order_by(ROW).select(*columns).to_pyarrow(),
        quarantine=quarantine,
        set_aside=_counts(quarantine.column(RULE)),
        mended=dict(sorted({**found.mended, **known.mended}.items())),
        stored=(found.stored, known.stored),
    )


# --- rules on tables --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Judged:
    """A table whose mends are applied, and the rules that single rows out, in order."""

    table: Table
    mends: tuple[tuple[str, Rule], ...] = ()
    singled: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class _Divided:
    stored: Table
    kept: Table
    aside: pa.Table
    mended: dict[str, int]


def _judge(table: Table, rules: Sequence[Rule], validation: Validation) -> _Judged:
    return _judge_more(_Judged(table), rules, validation)


def _judge_more(judged: _Judged, rules: Sequence[Rule], validation: Validation) -> _Judged:
    table, mends, singled = judged.table, list(judged.mends), list(judged.singled)
    for rule in rules:
        action = validation.action(rule)
        if action == KEEP or (rule.needs is not None and rule.needs not in table.columns):
            continue
        if action == MEND and rule.mended is not None:
            flag = f"{_FLAG}{len(mends)}"
            table = table.mutate(**{flag: rule.broken(table).fill_null(False)})
            changes = {name: ibis.ifelse(table[flag], value, table[name]) for name, value in rule.mended(table).items()}
            table = table.mutate(**changes)
            mends.append((flag, rule))
        else:
            singled.append(rule)
    return _Judged(table, tuple(mends), tuple(singled))


def _looked_up(events: _Judged, items: Table) -> _Judged:
    """Events with what the catalogue knows: whether it has the item, and else the one id that differs by case only."""
    known = items.select(ITEM_ID, **{KNOWN: items[ROW]})
    table = events.table.left_join(known, ITEM_ID).drop(f"{ITEM_ID}_right")
    lower = items.select(ITEM_ID, ROW, lower=items[ITEM_ID].lower())
    unique = lower.group_by("lower").agg(same=lower.count(), **{TWIN: lower[ITEM_ID].min(), TWIN_ROW: lower[ROW].min()})
    unique = unique.filter(unique.same == 1).drop("same")
    joined = table.mutate(
        lower=ibis.ifelse(table[KNOWN].isnull(), table[ITEM_ID].lower(), ibis.null("string"))
    ).left_join(unique, "lower")
    return _Judged(joined.drop("lower", "lower_right"), events.mends, events.singled)


def _user_twins(events: _Judged, before: Table, engine: Engine, validation: Validation) -> _Judged:
    """Events whose user has a twin (among the users of `before`) that differs by case: mended, set aside or refused."""
    if validation.action(USER_CASE) == KEEP:
        return events
    users = before.select(USER_ID).distinct()
    users = users.mutate(lower=users[USER_ID].lower())
    groups = users.group_by("lower").agg(ids=users.count(), **{USER_TWIN: users[USER_ID].min()})
    groups = groups.filter(groups.ids > 1)
    twins = users.inner_join(groups, "lower").filter(lambda t: t[USER_ID] != t[USER_TWIN]).select(USER_ID, USER_TWIN)
    stored = engine.materialize(twins)
    if stored.count().to_pyarrow().as_py() == 0:
        return events
    joined = events.table.left_join(stored, USER_ID).drop(f"{USER_ID}_right")
    return _judge_more(_Judged(joined, events.mends, events.singled), (USER_CASE,), validation)


def _divide(judged: _Judged, engine: Engine, validation: Validation, where: str) -> _Divided:
    """The rows that break no rule, and the others with the name of the first rule they break."""
    name = _namer(where)
    cases = [(rule.broken(judged.table).fill_null(False), name(rule)) for rule in judged.singled]
    verdict = ibis.cases(*cases) if cases else ibis.null("string")
    table = engine.materialize(judged.table.mutate(**{RULE: verdict}))
    total = int(table.count().to_pyarrow().as_py())
    counts = _verdicts(table)
    dropped = []
    for rule in judged.singled:
        rows = counts.get(name(rule), 0)
        action = validation.action(rule)
        if not rows:
            continue
        if action == REFUSE or (action != MEND and rows > validation.largest_share * total):
            raise _refusal(table, rule, name(rule), (rows, total), where)
        if action == MEND:
            dropped.append(name(rule))
        else:
            _logger.warning("%s: %d of %d rows set aside: %s. %s", where, rows, total, name(rule), rule.mend)
    kept = table.filter(table[RULE].isnull())
    aside = (
        table.filter(table[RULE].notnull() & table[RULE].notin(dropped))
        if dropped
        else table.filter(table[RULE].notnull())
    )
    rows = aside.order_by(ROW).mutate(**{TABLE: ibis.literal(where)}).to_pyarrow()
    if sum(counts.values()) == total:
        raise DataError("no row is left after setting aside", where=where, got=counts)
    mended = _mend_counts(table, judged.mends, where) | {each: counts[each] for each in dropped}
    return _Divided(table, kept, rows, mended)


def _verdicts(table: Table) -> dict[str, int]:
    counted = table.filter(table[RULE].notnull()).group_by(RULE).agg(rows=lambda t: t.count()).to_pyarrow()
    return {row[RULE]: int(row["rows"]) for row in counted.to_pylist()}


def _refusal(table: Table, rule: Rule, name: str, rows: tuple[int, int], where: str) -> DataError:
    first = table.filter(table[RULE] == name).order_by(ROW).limit(3).to_pyarrow()
    shown = [
        {key: value for key, value in row.items() if value is not None and key in (ROW, USER_ID, ITEM_ID, TIMESTAMP)}
        for row in first.to_pylist()
    ]
    return DataError(f"{rows[0]} of {rows[1]} rows break the rule: {name}", where=where, got=shown, mend=rule.mend)


def _mend_counts(table: Table, mends: Sequence[tuple[str, Rule]], where: str) -> dict[str, int]:
    if not mends:
        return {}
    sums = table.aggregate(**{flag: table[flag].cast("int64").sum() for flag, _ in mends}).to_pyarrow().to_pylist()[0]
    name = _namer(where)
    counts = {name(rule): int(sums[flag] or 0) for flag, rule in mends}
    for each, rows in counts.items():
        if rows:
            _logger.warning("%s: %d rows mended: %s", where, rows, each)
    return {each: rows for each, rows in counts.items() if rows}


def _namer(where: str) -> Callable[[Rule], str]:
    return named_for_catalogue if where == "catalogue" else lambda rule: rule.name


# --- tables in and out ------------------------------------------------------------------------------------------------


def numbered(table: pa.Table | pa.RecordBatchReader) -> pa.Table | pa.RecordBatchReader:
    """The same rows with their number from 0 in a column `row`."""
    if isinstance(table, pa.Table):
        return table.append_column(ROW, pa.array(np.arange(table.num_rows)))
    schema = table.schema.append(pa.field(ROW, pa.int64()))
    return pa.RecordBatchReader.from_batches(schema, _numbered_batches(table, schema))


def _numbered_batches(batches: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    start = 0
    for batch in batches:
        rows = pa.array(np.arange(start, start + len(batch)))
        yield pa.RecordBatch.from_arrays([*batch.columns, rows], schema=schema)
        start += len(batch)
    if start == 0:
        raise DataError("the table is empty", where="events", mend="Check the source.")


def as_strings(aside: pa.Table) -> pa.Table:
    """Rows for the quarantine file: table, row and rule first, the source's columns as strings."""
    first = [TABLE, ROW, RULE]
    hidden = (*first, *ADDED, PROBLEM)
    originals = [name for name in aside.column_names if name not in hidden and not name.startswith(_FLAG)]
    texts = [_text(aside.column(name)) for name in originals]
    return pa.table([*(aside.column(name) for name in first), *texts], names=[*first, *originals])


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return pc.binary_join(column.cast(pa.list_(pa.string())), "; ")
    return column.cast(pa.string())


def _counts(rules: pa.ChunkedArray) -> dict[str, int]:
    pairs = pc.value_counts(rules.combine_chunks()).to_pylist()
    return {pair["values"]: pair["counts"] for pair in sorted(pairs, key=lambda pair: str(pair["values"]))}
