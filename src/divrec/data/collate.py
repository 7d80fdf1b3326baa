"""Batches cut from histories: which moments ask, what they see, what came next. Vectorised over the whole batch.

B rows of a batch, L history length, Q queries, S seen items, P targets, T targets a user, R rows of a split, E events.
A moment is asked about as a whole, and its query sees only what is strictly earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from divrec.batch import Batch
from divrec.data.histories import Histories, Numbers, spread
from divrec.errors import check_number

_DAY = 86_400


@dataclass(frozen=True)
class Collation:
    """What a batch looks like, beside who is in it.

    Attributes:
        item_count: number N of items in the catalogue; pads `seen_QS`.
        event_weights: weight of each kind of event in (0, 1], by its number.
        target_kinds: by kind, whether its events can be targets.
        input_kinds: by kind, whether a model reads its events; None = all. Others are seen items of weight 0.
        history_length: L, the last events that a model reads; `seen_QS` has all.
        half_life_days: age at which an event counts half in the history weights: small = only the recent past counts;
            None = age does not matter.
        trim: a batch is only as long as its longest window.
    """

    item_count: int
    event_weights: tuple[float, ...]
    target_kinds: tuple[bool, ...]
    input_kinds: tuple[bool, ...] | None = None
    history_length: int = 50
    half_life_days: float | None = None
    trim: bool = False

    @property
    def reads_all(self) -> bool:
        """Whether a model reads events of every kind."""
        return self.input_kinds is None or all(self.input_kinds)

    @property
    def read_weights(self) -> NDArray[np.float32]:
        """Weight of each kind in the history; 0 for kinds that are not read."""
        return np.asarray(self.event_weights, dtype=np.float32) * self.read_kinds

    @property
    def read_kinds(self) -> NDArray[np.bool_]:
        """By kind, whether a model reads its events."""
        return np.asarray(self.input_kinds if self.input_kinds is not None else [True] * len(self.event_weights))

    def is_read(self, kinds: Numbers) -> NDArray[np.bool_]:
        """Whether a model reads events of these kinds."""
        return self.read_kinds[kinds]

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        check_number("data.history_length", self.history_length, least=1, whole=True)
        if self.half_life_days is not None:
            check_number("data.half_life_days", self.half_life_days, above=0)


@dataclass(frozen=True)
class Asked:
    """Rows of the histories and, as event numbers, where sight ends."""

    rows_B: Numbers
    stops_B: Numbers
    query_rows_Q: Numbers
    stops_Q: Numbers


@dataclass(frozen=True)
class Targets:
    """What the asked moments brought: the query, item and label of each target."""

    queries_P: Numbers
    items_P: Numbers
    values_P: NDArray[np.floating[Any]]


def make_batch(histories: Histories, collation: Collation, asked: Asked, targets: Targets) -> Batch:
    """Cut one batch.

    Args:
        histories: of the split.
        collation: what a batch looks like.
        asked: rows and moments; every query sees at least one event of its window.
        targets: taken over as they are.
    """
    first_B = np.maximum(histories.offsets_R[asked.rows_B], asked.stops_B - collation.history_length)
    width = int((asked.stops_B - first_B).max()) if collation.trim else collation.history_length
    index_BL = asked.stops_B[:, None] + np.arange(-width, 0)
    padding_BL = index_BL < first_B[:, None]
    index_BL = np.where(padding_BL, first_B[:, None], index_BL)
    first_moment_B = histories.moments_E[first_B]
    if not collation.reads_all:
        padding_BL = padding_BL | ~collation.is_read(histories.kinds_E[index_BL].ravel()).reshape(index_BL.shape)
    groups_BL = np.where(padding_BL, -1, histories.moments_E[index_BL] - first_moment_B[:, None])
    groups_Q = histories.moments_E[asked.stops_Q - 1] - first_moment_B[asked.query_rows_Q]
    if not collation.reads_all:  # the last moment that holds anything to read
        visible_QL = np.where(groups_BL[asked.query_rows_Q] <= groups_Q[:, None], groups_BL[asked.query_rows_Q], -1)
        groups_Q = visible_QL.max(-1)
    seen_QS, history_QS = _seen(histories, collation, asked)
    return Batch(
        users_B=_whole(histories.users_R[asked.rows_B]),
        items_BL=_whole(np.where(padding_BL, 0, histories.items_E[index_BL])),
        groups_BL=_whole(groups_BL),
        events_BL=_whole(np.where(padding_BL, 0, histories.kinds_E[index_BL])),
        query_rows_Q=_whole(asked.query_rows_Q),
        query_groups_Q=_whole(groups_Q),
        seen_QS=torch.from_numpy(seen_QS),
        history_QS=torch.from_numpy(history_QS),
        target_queries_P=_whole(targets.queries_P),
        target_items_P=_whole(targets.items_P),
        target_values_P=torch.from_numpy(targets.values_P.astype(np.float32)),
        times_BL=_whole(np.where(padding_BL, 0, histories.times_E[index_BL])),
        profiles_Q=_profiles(histories, asked),
    )


def _seen(histories: Histories, collation: Collation, asked: Asked) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Distinct items before each query and their weight: the greatest event weight x decay, over the row's maximum.

    Age counts from the last event that the query sees; any other origin would cancel out.
    """
    starts_Q = histories.offsets_R[asked.rows_B[asked.query_rows_Q]]
    queries, events = spread(starts_Q, asked.stops_Q)
    distinct_Q = histories.distinct_E[asked.stops_Q] - histories.distinct_E[starts_Q]
    width = int(distinct_Q.max(initial=0))
    cells = queries * width + histories.slots_E[events] - histories.distinct_E[starts_Q][queries]
    weights = collation.read_weights[histories.kinds_E[events]]
    if collation.half_life_days is not None:
        ages = histories.times_E[asked.stops_Q - 1][queries] - histories.times_E[events]
        weights = weights * np.exp2(-ages / (_DAY * collation.half_life_days)).astype(np.float32)
    seen = np.full(len(starts_Q) * width, collation.item_count, dtype=np.int64)
    seen[cells] = histories.items_E[events]
    history = np.zeros(len(seen), dtype=np.float32)
    np.maximum.at(history, cells, weights)
    history_QS = history.reshape(-1, width)
    return seen.reshape(-1, width), history_QS / history_QS.max(-1, keepdims=True)


def _profiles(histories: Histories, asked: Asked) -> Tensor | None:
    if histories.profiles is None:
        return None
    starts_Q = histories.offsets_R[asked.rows_B[asked.query_rows_Q]]
    return _whole(histories.profiles.at(starts_Q, asked.stops_Q))


def _whole(numbers: Numbers) -> Tensor:
    return torch.from_numpy(numbers.astype(np.int64))
