"""Ids as small numbers, as soon as they are checked: all that follows compares and joins integers."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import pyarrow as pa
import pyarrow.compute as pc
from ibis.expr.types import Table

from divrec.data.engine import Engine
from divrec.data.validate import Admitted
from divrec.schema import EVENT, ITEM_ID, ROW, TIMESTAMP, USER_ID

_CODE = "code"


@dataclass(frozen=True)
class Indexed:
    """Events with numbers for ids.

    Attributes:
        events: user_id and item_id (integers), timestamp, event.
        user_codes, item_codes: the integers, and at the same places
        user_ids, item_ids: the log's own ids.
    """

    events: Table
    user_codes: pa.Array
    item_codes: pa.Array
    user_ids: pa.Array
    item_ids: pa.Array


def index(admitted: Admitted, engine: Engine) -> Indexed:
    """Give users numbers in the order of their ids; items have theirs, the row in the catalogue.

    Args:
        admitted: its events are read once, and its stored table can be dropped afterwards.
        engine: stores the numbered events.
    """
    users = admitted.events.select(USER_ID).distinct()
    users = engine.materialize(users.mutate(**{_CODE: ibis.row_number().over(order_by=USER_ID).cast("int32")}))
    joined = admitted.events.inner_join(users, USER_ID)
    numbers = {USER_ID: joined[_CODE], ITEM_ID: joined[ITEM_ID].cast("int32")}
    events = engine.materialize(joined.select(TIMESTAMP, EVENT, **numbers))
    known = users.to_pyarrow()
    rows = admitted.catalogue.column(ROW).combine_chunks()
    return Indexed(
        events=events,
        user_codes=known.column(_CODE).combine_chunks(),
        item_codes=pc.cast(rows, pa.int32()),
        user_ids=known.column(USER_ID).combine_chunks(),
        item_ids=admitted.catalogue.column(ITEM_ID).combine_chunks(),
    )
