"""Users' histories as flat arrays in memory, the form from which batches are cut.

R rows (users of a split), E events, M moments (a user's events with one timestamp), F first touches (distinct items).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

if TYPE_CHECKING:
    from divrec.data.user_profiles import ProfileCuts

Numbers = NDArray[np.integer]


@dataclass(frozen=True)
class Histories:
    """Histories of the users of a split; row r owns the events offsets_R[r] to offsets_R[r + 1].

    Attributes:
        users_R: user index of each row.
        offsets_R: first event of each row, and the number of events at the end.
        items_E: catalogue rows, oldest first in each row.
        times_E: seconds since the epoch.
        kinds_E: position in the list of event kinds.
        moments_E: number of each event's moment, counted through all rows.
        starts_M: first event of each moment, and the number of events at the end.
        slots_E: number of the event's item among the distinct items, counted through all rows in order of first touch.
        distinct_E: number of distinct (row, item) pairs before each event, and their number at the end.
        profiles: the users' profile texts; None = no model reads any.
    """

    users_R: Numbers
    offsets_R: Numbers
    items_E: Numbers
    times_E: Numbers
    kinds_E: Numbers
    moments_E: Numbers
    starts_M: Numbers
    slots_E: Numbers
    distinct_E: Numbers
    profiles: ProfileCuts | None = None

    @property
    def first_moments(self) -> Numbers:
        """First moment of each row, and the number of moments at the end."""
        return np.append(self.moments_E[self.offsets_R[:-1]], len(self.starts_M) - 1)


def read_histories(dataset: Dataset) -> Histories:
    """Read a split into memory, once.

    Args:
        dataset: rows with at least one event each, features as in `schema.sequence_features`.
    """
    table = dataset.with_format("arrow")[:]
    items_E, offsets_R = flat_lists(table, "items")
    times_E, kinds_E = flat_lists(table, "times")[0], flat_lists(table, "events")[0]
    rows_E = np.repeat(np.arange(len(offsets_R) - 1), np.diff(offsets_R))

    new_moment = np.ones(len(items_E), dtype=np.bool_)
    new_moment[1:] = (np.diff(rows_E) != 0) | (np.diff(times_E) != 0)
    starts_M = np.append(np.flatnonzero(new_moment), len(items_E)).astype(np.int32)

    pairs = rows_E * (int(items_E.max(initial=0)) + 1) + items_E
    _, first_events, pair_E = np.unique(pairs, return_index=True, return_inverse=True)
    is_first = np.zeros(len(items_E), dtype=np.int32)
    is_first[first_events] = 1
    distinct_E = np.concatenate([[0], np.cumsum(is_first)]).astype(np.int32)
    return Histories(
        users_R=table.column("user").to_numpy().astype(np.int32),
        offsets_R=offsets_R,
        items_E=items_E.astype(np.int32),
        times_E=times_E,
        kinds_E=kinds_E,
        moments_E=(np.cumsum(new_moment) - 1).astype(np.int32),
        starts_M=starts_M,
        slots_E=distinct_E[first_events][pair_E],
        distinct_E=distinct_E,
    )


def flat_lists(table: pa.Table, name: str) -> tuple[NDArray[Any], Numbers]:
    """A list column as its flat values and the offset of each row (with the total at the end)."""
    column = table.column(name).combine_chunks()
    lengths = pc.list_value_length(column).to_numpy()
    return column.flatten().to_numpy(), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def spread(starts: Numbers, stops: Numbers) -> tuple[Numbers, Numbers]:
    """All positions of many ranges: for each, the number of its range and the position itself."""
    lengths = stops - starts
    owners = np.repeat(np.arange(len(lengths)), lengths)
    before = np.cumsum(lengths) - lengths
    return owners, np.arange(len(owners)) + np.repeat(starts - before, lengths)
