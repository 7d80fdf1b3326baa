"""The frozen dataclasses that carry tensors between the rooms.

Shapes: B users in a batch, L history length, Q queries (B of them lead, one a user), P positive targets, C candidates,
N items, D dimension, J categories an item, M candidates kept of a ranking, K delivered items, T targets a user.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


class _Movable:
    def to(self, device: torch.device | str) -> Self:
        """The same record with every tensor on `device`."""
        moved = {
            f.name: value.to(device) if isinstance(value := getattr(self, f.name), Tensor) else value
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
        }
        return type(self)(**moved)

    def pin_memory(self) -> Self:
        """The same record with every tensor in page-locked memory, from where copies to a GPU are faster."""
        pinned = {
            f.name: value.pin_memory() if isinstance(value := getattr(self, f.name), Tensor | _Movable) else value
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
        }
        return type(self)(**pinned)


@dataclass(frozen=True)
class Catalogue(_Movable):
    """What is known of the items before training; regularizers, metrics and re-rankers all measure with it.

    Attributes:
        vectors_ND: whitened unit text vectors of the frozen encoder.
        categories_NJ: category indices of each item, padded with 0 where the weight is 0.
        category_weights_NJ: rows sum to 1; an item in two categories is split.
        category_count: number of categories C.
        counts_N: training events of each item.
    """

    vectors_ND: Tensor
    categories_NJ: Tensor
    category_weights_NJ: Tensor
    category_count: int
    counts_N: Tensor

    @property
    def size(self) -> int:
        """Number of items N."""
        return self.counts_N.shape[0]


@dataclass(frozen=True)
class Batch(_Movable):
    """Histories and what came next.

    A query is a moment in a user's history: it sees the events of its window up to `query_group_Q` and asks for what
    the next moment brought. Events with one timestamp share a group, so they never see each other. The first B queries
    are one random moment of each user, drawn alike whatever the objective: the diversity regularizer reads those.

    Attributes:
        users_B: user index of each row, int64.
        items_BL: the window's events, int64, oldest first, padded at the left with 0.
        groups_BL: number of the event's timestamp inside the window, counted from 0; -1 is padding.
        events_BL: kind of each event, int64.
        query_rows_Q: row of each query.
        query_groups_Q: last group that each query sees.
        seen_QS: the items that a query's user had touched before it asks, padded with N (one past the last item).
        history_QS: history weight h in [0, 1] of those items; 0 is padding.
        target_queries_P: query of each positive target.
        target_items_P: the item of each positive target.
        target_values_P: label of each positive target in (0, 1]: rating or event weight, 1 for a purchase.
        negatives_QC: candidates that stand against the targets of each query; None = the task draws its own. Some may
            be targets, or seen: the task leaves those out.
        negative_values_QC: label of each candidate in [0, 1].
        negative_log_q_QC: logarithm of the chance with which each candidate was drawn, where that is known.
        times_BL: seconds since the epoch of each event, int64; 0 at padding.
        profiles_Q: number of the profile text that each query's user had by then; 0 = none yet. None = no model reads
            profiles (data.profiles).
    """

    users_B: Tensor
    items_BL: Tensor
    groups_BL: Tensor
    events_BL: Tensor
    query_rows_Q: Tensor
    query_groups_Q: Tensor
    seen_QS: Tensor
    history_QS: Tensor
    target_queries_P: Tensor
    target_items_P: Tensor
    target_values_P: Tensor
    negatives_QC: Tensor | None = None
    negative_values_QC: Tensor | None = None
    negative_log_q_QC: Tensor | None = None
    times_BL: Tensor | None = None
    profiles_Q: Tensor | None = None


@dataclass(frozen=True)
class EvaluationBatch(_Movable):
    """Users to be ranked for: the whole `Batch` with one query a user, and the targets of the window.

    Attributes:
        batch: its queries are the last moment of each user.
        targets_BT: relevant items, int64, padded with -1.
        user_ids: the log's own user ids.
    """

    batch: Batch
    targets_BT: Tensor
    user_ids: tuple[str, ...]

    def to(self, device: torch.device | str) -> EvaluationBatch:
        """The same record with every tensor on `device`."""
        return EvaluationBatch(self.batch.to(device), self.targets_BT.to(device), self.user_ids)


@dataclass(frozen=True)
class Request:
    """What a training step wants scored, where that is not every item for every query.

    Attributes:
        candidates_C: the items that all queries are scored on, ascending and distinct. None = none are: what is wanted
            is the vectors of all queries and all items, whose dot products are the scores.
        leading: whether the leading queries are scored on every item besides: the regularizers read those.
    """

    candidates_C: Tensor | None
    leading: bool


@dataclass(frozen=True)
class ModelOutput:
    """What a recommender says of a batch.

    Attributes:
        scores_QN: score of every item for every query, or for the leading ones alone where a `Request` said so (none at
            all if it did not ask for those); higher is better.
        users_QD: user vectors, or None where the model has none (baselines).
        items_ND: item vectors, or None; of the requested candidates alone where a `Request` named some.
        candidate_scores_QC: scores of the requested candidates; None = no `Request` named any.
    """

    scores_QN: Tensor
    users_QD: Tensor | None = None
    items_ND: Tensor | None = None
    candidate_scores_QC: Tensor | None = None


@dataclass(frozen=True)
class SoftSlate:
    """Degrees to which items are in the delivered top k, over the candidates that can be.

    Attributes:
        items_BM: candidate items, best first.
        weights_BM: membership m; each row sums to k (the softmax form: to k times a probability mass).
        valid_BM: False where a row has fewer than M candidates; the weight there is 0.
        k: slate size.
    """

    items_BM: Tensor
    weights_BM: Tensor
    valid_BM: Tensor
    k: int


@dataclass(frozen=True)
class Ranking(_Movable):
    """The top M of all items for each user and where the targets came.

    Attributes:
        items_BM: best first, ties in a seeded order; -1 where fewer items could be ranked.
        scores_BM: their scores; -inf at padding.
        targets_BT: relevant items, padded with -1.
        above_BT: number of rankable items scored strictly higher than each target.
        ties_BT: number of rankable items with the target's score, itself among them; 0 at padding.
        candidates_B: number of rankable items.
    """

    items_BM: Tensor
    scores_BM: Tensor
    targets_BT: Tensor
    above_BT: Tensor
    ties_BT: Tensor
    candidates_B: Tensor


@dataclass(frozen=True)
class Slate(_Movable):
    """The delivered list of each user.

    Attributes:
        items_BK: best first; -1 is padding.
        scores_BK: the model's own scores of those items (not the re-ranker's gains).
    """

    items_BK: Tensor
    scores_BK: Tensor
