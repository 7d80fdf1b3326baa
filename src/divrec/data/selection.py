"""Which events of a clean log a dataset is made of, as Ibis expressions for any engine."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
from ibis.expr.types import Table

from divrec.data.engine import Engine
from divrec.data.events import NEVER_REMOVED
from divrec.data.preparation import Preparation
from divrec.data.relational import REMOVED, first_touch, k_core, removal_moments, strongest_of_moment
from divrec.data.split import Split, Windows, part_of
from divrec.errors import DataError
from divrec.schema import ITEM_ID, TIMESTAMP, USER_ID


@dataclass(frozen=True)
class Selection:
    """The events of a dataset.

    Attributes:
        events: user_id, item_id, timestamp, kind, removed; one event a user, item and moment.
        windows: of a split in time.
        left_out: how many events, users and items the log had beside them, by reason.
    """

    events: Table
    windows: Windows | None
    left_out: dict[str, int]


def select(events: Table, settings: Preparation, split: Split, engine: Engine) -> Selection:
    """Choose the events of a dataset.

    Args:
        events: admitted; read once, and dropped from the engine where it can be.
        settings: core, repeats, kinds and roles.
        split: its windows say what is known when.
        engine: stores the steps.

    Raises:
        DataError: nothing is left.
    """
    windows = split.windows(events)
    moments = engine.materialize(strongest_of_moment(events, settings.kinds))
    standing = engine.materialize(_standing(moments, events, settings, windows)) if settings.removing else moments
    whole = standing if settings.removing else standing.mutate(**{REMOVED: ibis.literal(NEVER_REMOVED, "int8")})
    once = engine.materialize(first_touch(whole)) if settings.repeats == "first" else engine.materialize(whole)
    kept = _core_and_new(once, settings.core, windows, engine) if split.is_cold else k_core(once, settings.core, engine)
    chosen = engine.materialize(kept)
    tables = (events, moments, standing, once, chosen)
    counts = [int(table.count().to_pyarrow().as_py()) for table in tables]
    if counts[-1] == 0:
        raise DataError(
            f"no user and item is left in the {settings.core}-core",
            where="data.preparation.core",
            got=settings.core,
            mend="Lower the core.",
        )
    removing = events.filter(events.event.isin(settings.removing)).count() if settings.removing else None
    removals = 0 if removing is None else int(removing.to_pyarrow().as_py())
    left_out = {
        "events of weight 0 or repeated within a moment": counts[0] - counts[1] - removals,
        "events after the first of a user-item pair": counts[2] - counts[3],
        "events outside the core": counts[3] - counts[4],
    }
    if removals:
        left_out |= {"events that remove others": removals, "events removed before they counted": counts[1] - counts[2]}
    for column, name in ((USER_ID, "users"), (ITEM_ID, "items")):
        sizes = [int(table[column].nunique().to_pyarrow().as_py()) for table in (once, chosen)]
        left_out[f"{name} outside the core"] = sizes[0] - sizes[1]
    return Selection(chosen, windows, left_out)


def _standing(moments: Table, events: Table, settings: Preparation, windows: Windows | None) -> Table:
    """Events that are not taken out again in the part of the split that they lie in, and when the others are."""
    found = removal_moments(moments, events, settings.removing)
    if windows is None:
        kept = found.filter(found.removed_at.isnull())
        return kept.drop("removed_at").mutate(**{REMOVED: ibis.literal(NEVER_REMOVED, "int8")})
    removed = ibis.ifelse(found.removed_at.isnull(), NEVER_REMOVED, part_of(found.removed_at, windows)).cast("int8")
    dated = found.mutate(**{REMOVED: removed})
    return dated.filter(dated[REMOVED] > part_of(dated[TIMESTAMP], windows)).drop("removed_at")


def _core_and_new(events: Table, core: int, windows: Windows | None, engine: Engine) -> Table:
    """The core of what lies before the windows; from then on the same users, with its items and with new ones."""
    assert windows is not None
    before = engine.materialize(k_core(events.filter(events[TIMESTAMP] < windows.validation), core, engine))
    firsts = events.group_by(ITEM_ID).agg(first=events[TIMESTAMP].min())
    new = firsts.filter(firsts["first"] >= windows.validation).select(ITEM_ID)
    items = before.select(ITEM_ID).distinct().union(new)
    later = events.filter(events[TIMESTAMP] >= windows.validation)
    later = later.semi_join(before.select(USER_ID).distinct(), USER_ID).semi_join(items, ITEM_ID)
    return before.select(later.columns).union(later)
