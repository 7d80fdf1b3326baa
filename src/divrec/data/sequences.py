"""From a table of events to one row a user: numbering, order in time, list columns. No loop over events or users.

E events, U users, N items, R rows of a split.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr.types import Table
from numpy.typing import NDArray

from divrec.data.events import Events, Mask, Numbers
from divrec.data.indexing import Indexed
from divrec.data.relational import KIND, REMOVED
from divrec.schema import CATEGORIES, ITEM_ID, TEXT, TIMESTAMP, USER_ID

UNKNOWN_CATEGORY = "unknown"


def number_events(table: Table, indexed: Indexed, seed: int) -> Events:
    """Fetch numbers alone, number users and items anew in a shuffled order, and put the events in order.

    The result depends neither on the order of the rows nor on the engine.

    Args:
        table: user_id and item_id (integers), timestamp, kind, removed; one event a user, item and moment.
        indexed: what the integers stand for.
        seed: of the order of ties, users and items.
    """
    generator = np.random.default_rng(seed)
    fetched = table.select(USER_ID, ITEM_ID, TIMESTAMP, KIND, REMOVED).to_pyarrow()
    users_E, user_ids = _renumbered(fetched.column(USER_ID), indexed.user_codes, indexed.user_ids, generator)
    items_E, item_ids = _renumbered(fetched.column(ITEM_ID), indexed.item_codes, indexed.item_ids, generator)
    times_E, kinds_E, removed_E = (fetched.column(name).to_numpy() for name in (TIMESTAMP, KIND, REMOVED))
    del fetched
    canonical = np.lexsort((items_E, times_E, users_E))
    tie_breaks = generator.random(len(canonical))
    order = canonical[np.lexsort((tie_breaks, times_E[canonical], users_E[canonical]))]
    del canonical, tie_breaks
    return Events(users_E[order], items_E[order], times_E[order], kinds_E[order], removed_E[order], user_ids, item_ids)


def train_table(events: Events, chosen_E: Mask) -> pa.Table:
    """A row for each user with training events."""
    return _history_table(events, chosen_E, np.arange(len(events.user_ids)))


def evaluation_table(events: Events, before_E: Mask, wanted_E: Mask, is_input: Mask) -> pa.Table:
    """A row for each user with something to read in the history and at least one target.

    Args:
        events: all events.
        before_E: the history.
        wanted_E: the targets.
        is_input: by kind, whether a model reads its events.
    """
    users = np.intersect1d(events.users_E[before_E & is_input[events.kinds_E]], events.users_E[wanted_E])
    table = _history_table(events, before_E, users)
    wanted_E = wanted_E & np.isin(events.users_E, users)
    pairs = np.unique(events.users_E[wanted_E].astype(np.int64) * len(events.item_ids) + events.items_E[wanted_E])
    owners, targets = np.divmod(pairs, len(events.item_ids))
    lengths = np.bincount(np.searchsorted(users, owners), minlength=len(users))
    return table.append_column("targets", _lists(targets.astype(np.int32), lengths))


def catalogue_table(events: Events, catalogue: pa.Table, train_E: Mask) -> tuple[pa.Table, list[str]]:
    """The catalogue in the order of the item numbers, and the names of its categories."""
    rows = catalogue.take(pc.index_in(events.item_ids, catalogue.column(ITEM_ID)))
    codes, names = _category_lists(rows)
    counts = np.bincount(events.items_E[train_E], minlength=rows.num_rows).astype(np.int64)
    columns = {ITEM_ID: rows.column(ITEM_ID), TEXT: rows.column(TEXT), CATEGORIES: codes, "count": pa.array(counts)}
    return pa.table(columns), names


def _renumbered(
    column: pa.ChunkedArray, codes: pa.Array, ids: pa.Array, generator: np.random.Generator
) -> tuple[Numbers, pa.Array]:
    """New numbers of the ids that occur, in an order that carries nothing and depends on the seed alone."""
    codes_E = column.to_numpy()
    size = int(pc.max(codes).as_py()) + 1
    occurs = np.zeros(size, dtype=np.bool_)
    occurs[codes_E] = True
    present = occurs[codes.to_numpy()]
    chosen, chosen_codes = ids.filter(pa.array(present)), codes.to_numpy()[present]
    order = pc.sort_indices(chosen).to_numpy()[generator.permutation(len(chosen))]
    numbers = np.zeros(size, dtype=np.int32)
    numbers[chosen_codes[order]] = np.arange(len(order), dtype=np.int32)
    return numbers[codes_E], chosen.take(pa.array(order))


def _history_table(events: Events, chosen_E: NDArray[np.bool_], users: Numbers) -> pa.Table:
    """A row for each of `users` (ascending) that has chosen events."""
    lengths_U = np.bincount(events.users_E[chosen_E], minlength=len(events.user_ids))
    users = users[lengths_U[users] > 0]
    keep = np.zeros(len(events.user_ids), dtype=np.bool_)
    keep[users] = True
    chosen_E = chosen_E & keep[events.users_E]
    lengths_R = lengths_U[users]
    return pa.table(
        {
            USER_ID: events.user_ids.take(pa.array(users)),
            "user": pa.array(users.astype(np.int32)),
            "items": _lists(events.items_E[chosen_E], lengths_R),
            "times": _lists(events.times_E[chosen_E], lengths_R),
            "events": _lists(events.kinds_E[chosen_E], lengths_R),
        }
    )


def _lists(values: Numbers, lengths: Numbers) -> pa.ListArray:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values))


def _category_lists(rows: pa.Table) -> tuple[pa.ListArray, list[str]]:
    """Category numbers of each item; an item without any is "unknown", but a catalogue without any has no names."""
    owners, names = _category_pairs(rows)
    if len(names) == 0:
        return _lists(np.zeros(0, dtype=np.int32), np.zeros(rows.num_rows, dtype=np.int32)), []
    bare = np.setdiff1d(np.arange(rows.num_rows), owners)
    owners = np.concatenate([owners, bare])
    encoded = pa.concat_arrays([names, pa.array([UNKNOWN_CATEGORY] * len(bare), pa.string())]).dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    codes = np.argsort(order)[encoded.indices.to_numpy()]
    owners, codes = np.divmod(np.unique(owners * len(order) + codes), len(order))
    lists = _lists(codes.astype(np.int32), np.bincount(owners, minlength=rows.num_rows))
    return lists, encoded.dictionary.take(pa.array(order)).to_pylist()


def _category_pairs(rows: pa.Table) -> tuple[NDArray[np.int64], pa.Array]:
    if CATEGORIES not in rows.column_names or pa.types.is_null(rows.schema.field(CATEGORIES).type):
        return np.zeros(0, dtype=np.int64), pa.array([], pa.string())
    column = rows.column(CATEGORIES).combine_chunks()
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        owners, names = pc.list_parent_indices(column).to_numpy().astype(np.int64), pc.list_flatten(column)
    else:
        owners, names = np.arange(len(column), dtype=np.int64), column
    names = pc.utf8_trim_whitespace(names.cast(pa.string()))
    named = pc.fill_null(pc.not_equal(names, ""), False)
    return owners[named.to_numpy(zero_copy_only=False)], names.filter(named)
