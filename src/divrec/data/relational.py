"""From clean events to the events that a dataset is made of, as Ibis expressions for any engine.

Events here have the columns user_id, item_id, timestamp, kind (position in the list of kinds, weakest first).
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
from ibis.expr.types import Table

from divrec.data.engine import Engine
from divrec.schema import EVENT, ITEM_ID, TIMESTAMP, USER_ID

KIND = "kind"
REMOVED = "removed"  # part of the split in which an event is taken out


def strongest_of_moment(events: Table, kinds: Sequence[str]) -> Table:
    """One event for each user, item and moment (timestamp): the strongest kind of that moment.

    Args:
        events: with a column `event` that holds names.
        kinds: names from the weakest to the strongest; events of other kinds are dropped.
    """
    wanted = events.filter(events[EVENT].isin(list(kinds)))
    codes = ibis.cases(*((wanted[EVENT] == name, code) for code, name in enumerate(kinds))).cast("int8")
    coded = wanted.select(USER_ID, ITEM_ID, TIMESTAMP, codes.name(KIND))
    return coded.group_by([USER_ID, ITEM_ID, TIMESTAMP]).agg(coded[KIND].max().name(KIND))


def removal_moments(moments: Table, events: Table, kinds: Sequence[str]) -> Table:
    """The moments with a column `removed_at`: when an event of a removing kind first comes, at the same time or later.

    Args:
        moments: one event a user, item and moment.
        events: the log, with names of kinds in `event`.
        kinds: names of the removing kinds.
    """
    found = events.filter(events[EVENT].isin(list(kinds)))
    removals = found.select(USER_ID, ITEM_ID, removed_at=found[TIMESTAMP]).distinct()
    same = [USER_ID, ITEM_ID, moments[TIMESTAMP] <= removals.removed_at]
    joined = moments.left_join(removals, same)
    return joined.group_by([USER_ID, ITEM_ID, TIMESTAMP, KIND]).agg(removed_at=joined.removed_at.min())


def first_touch(moments: Table) -> Table:
    """Only the first event of each user-item pair; `moments` has one event a user, item and moment."""
    others = [name for name in (KIND, REMOVED) if name in moments.columns]
    first = moments.group_by([USER_ID, ITEM_ID]).agg(
        moments[TIMESTAMP].min().name(TIMESTAMP),
        *(moments[name].argmin(moments[TIMESTAMP]).name(name) for name in others),
    )
    return first.select(USER_ID, ITEM_ID, TIMESTAMP, *others)


def k_core(events: Table, core: int, engine: Engine) -> Table:
    """The largest set of events in which every user has `core` distinct items and every item `core` distinct users.

    Args:
        events: any events; repeats of a user-item pair count once.
        core: 0 or 1 keeps all, higher leaves fewer, busier users and items.
        engine: stores each round of the fixed point.
    """
    if core <= 1:
        return events
    pairs = engine.materialize(events.select(USER_ID, ITEM_ID).distinct())
    before, size = -1, pairs.count().to_pyarrow().as_py()
    while size != before:
        before = size
        for side in (USER_ID, ITEM_ID):
            busy = pairs.group_by(side).agg(degree=pairs.count()).filter(lambda counted: counted.degree >= core)
            smaller = engine.materialize(pairs.semi_join(busy, side))
            engine.drop(pairs)
            pairs = smaller
        size = pairs.count().to_pyarrow().as_py()
    return events.semi_join(pairs, [USER_ID, ITEM_ID])
