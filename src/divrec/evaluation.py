"""A run x [re-rankers] -> records: all items ranked once for every user, then one point for each delivered list.

Shapes: B users, N items, M candidates kept, K delivered items.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn

from divrec.batch import Catalogue, EvaluationBatch, Ranking, Request, Slate
from divrec.errors import ConfigError
from divrec.kept_ranking import Ranker
from divrec.metrics import GroupMetrics, SlateMetrics
from divrec.metrics.groups import as_columns
from divrec.models import Recommender
from divrec.ranking import deliver, rank
from divrec.ranking_blocks import rank_blocks
from divrec.rerank import Audience, Reranker
from divrec.schema import (
    GROUPS_FILE,
    ITEM_ID,
    RANK,
    RECORD_FILE,
    SCORE,
    SLATES_FILE,
    SPLIT,
    USER_ID,
    USERS_FILE,
    RunRecord,
)
from divrec.storage import replacing, write_json

AS_RANKED = ""  # the name of the point that no re-ranker touched


@dataclass(frozen=True)
class Protocol:
    """How lists are made and measured; the same for every point of a sweep.

    Attributes:
        metrics: catalogue -> metrics.
        k: delivered items: as many as the longest list that is measured.
        top: candidates kept for re-ranking.
        exclude_seen: keep items that a user has touched out of the lists.
        tie_order_N: place of each item among items of equal score.
        chunk: number of items scored at a time, where the scores are products of vectors; smaller = less memory, and
            twice the scoring.
    """

    metrics: Callable[[Catalogue], SlateMetrics]
    k: int
    top: int
    exclude_seen: bool
    tie_order_N: Tensor
    chunk: int = sys.maxsize

    @property
    def kept(self) -> int:
        """Number M of items that a ranking keeps."""
        return max(self.top, self.k)


@dataclass
class Evaluated:
    """What one point delivered and what it was worth.

    Attributes:
        metrics: split -> name -> value.
        undefined: split -> name -> number of users without a value.
        empty_histories: split -> number of users whose empty history counted as the uniform reference.
        users: table of per-user values.
        slates: table of delivered lists.
        groups: table of values by group: split and the columns of `divrec.metrics.GroupValue`.
        seconds: time that the point took, its share of the ranking (or of its reading) included.
    """

    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    undefined: dict[str, dict[str, int]] = field(default_factory=dict)
    empty_histories: dict[str, int] = field(default_factory=dict)
    users: list[pa.Table] = field(default_factory=list)
    slates: list[pa.Table] = field(default_factory=list)
    groups: list[pa.Table] = field(default_factory=list)
    seconds: float = 0.0

    def outcome(self) -> dict[str, Any]:
        """What a record says of it."""
        return {"metrics": self.metrics, "undefined": self.undefined, "empty_histories": self.empty_histories}


@dataclass(frozen=True)
class Measured:
    """The metrics of a point, over all its users and by group."""

    slates: SlateMetrics
    groups: GroupMetrics

    @classmethod
    def of(cls, slates: SlateMetrics) -> Measured:
        """Both, on the device of the first."""
        catalogue = slates.catalogue
        groups = GroupMetrics(catalogue, slates.sizes, slates.names)
        return cls(slates, groups.to(catalogue.counts_N.device))


class ModelRanker:
    """Ranks with a model.

    Args:
        model: Batch -> ModelOutput, on the device of the batches.
        protocol: how lists are made.
    """

    def __init__(self, model: nn.Module, protocol: Protocol) -> None:
        self._model, self._protocol = model.eval(), protocol

    @torch.no_grad()
    def rank(self, split: str, batch: EvaluationBatch) -> Ranking:
        """Score and rank all items."""
        protocol = self._protocol
        seen_BS = batch.batch.seen_QS if protocol.exclude_seen else None
        wanted = batch.targets_BT, seen_BS, protocol.kept, protocol.tie_order_N
        if len(protocol.tie_order_N) <= protocol.chunk or not isinstance(self._model, Recommender):
            return rank(self._model(batch.batch).scores_QN, *wanted)
        output = self._model(batch.batch, Request(None, leading=False))
        users_BD, items_ND = output.users_QD, output.items_ND
        assert users_BD is not None
        assert items_ND is not None
        return rank_blocks(lambda users, items: users_BD[users] @ items_ND[items].T, protocol.chunk, *wanted)

    def finish(self, split: str) -> None:
        """Nothing is left to do."""


def evaluate(
    model: nn.Module,
    splits: Mapping[str, Iterable[EvaluationBatch]],
    catalogue: Catalogue,
    item_ids: Sequence[str],
    protocol: Protocol,
    rerankers: Sequence[Reranker] = (),
) -> dict[str, Evaluated]:
    """Rank all items for every user of each split, deliver, re-rank and measure.

    Args:
        model: Batch -> ModelOutput.
        splits: split name -> batches.
        catalogue: what diversity is measured with.
        item_ids: the log's own item ids, by catalogue row.
        protocol: how lists are made and measured.
        rerankers: each gives a point of its own beside the ranking as it came.

    Returns:
        `AS_RANKED` and `point_name(reranker)` -> what that point delivered.
    """
    ranker = ModelRanker(model.to(catalogue.counts_N.device), protocol)
    return evaluate_ranked(ranker, splits, catalogue, item_ids, protocol, (None, *rerankers))


def evaluate_ranked(
    ranker: Ranker,
    splits: Mapping[str, Iterable[EvaluationBatch]],
    catalogue: Catalogue,
    item_ids: Sequence[str],
    protocol: Protocol,
    asked: Sequence[Reranker | None],
) -> dict[str, Evaluated]:
    """The same with rankings from anywhere (a model, or kept on disk) and for the points that are asked for.

    Args:
        ranker: gives the rankings.
        splits: split name -> batches.
        catalogue: what diversity is measured with.
        item_ids: the log's own item ids, by catalogue row.
        protocol: how lists are made and measured.
        asked: a re-ranker for each point; None = the ranking as it came.

    Raises:
        ConfigError: two points have one name.
    """
    ids = np.asarray(item_ids, dtype=object)
    device = catalogue.counts_N.device
    points = by_name(asked)
    results = {name: Evaluated() for name in points}
    for split, batches in splits.items():
        metrics = {name: Measured.of(protocol.metrics(catalogue).to(device)) for name in points}
        for strategy in filter(None, asked):
            strategy.start()
        for batch in batches:
            moved = batch.to(device)
            started = time.perf_counter()
            ranking = ranker.rank(split, moved)
            shared = (time.perf_counter() - started) / len(points)
            for name, reranker in points.items():
                started = time.perf_counter()
                slate = _slate(ranking, reranker, catalogue, protocol.k, moved)
                _collect(results[name], split, moved, (ranking, slate), metrics[name], ids)
                results[name].seconds += shared + time.perf_counter() - started
        ranker.finish(split)
        for name, measured in metrics.items():
            _conclude(results[name], split, measured)
    return results


def point_name(reranker: Reranker) -> str:
    """Name of a derived point, as its folder: "mmr-0.5", "mmr_pool150-0.5"."""
    return f"{reranker.label}-{reranker.diversity:g}"


def rerank_facts(reranker: Reranker) -> dict[str, Any]:
    """What a record says of a re-ranker: name, diversity and all else that it was built with."""
    return {"name": reranker.label, **reranker.parameters}


def by_name(asked: Sequence[Reranker | None]) -> dict[str, Reranker | None]:
    """The points that are asked for, by their names; None = the ranking as it came, `AS_RANKED`.

    Raises:
        ConfigError: two have one name.
    """
    named: dict[str, Reranker | None] = {}
    for reranker in asked:
        name = AS_RANKED if reranker is None else point_name(reranker)
        if name in named:
            raise ConfigError("asked for twice", where="rerank", got=name, mend="Give each strength once.")
        named[name] = reranker
    return named


def write_point(folder: Path, record: RunRecord, evaluated: Evaluated) -> None:
    """Write users, slates and groups and, last, record.json: a folder with a record is a finished point."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {USERS_FILE: evaluated.users, SLATES_FILE: evaluated.slates, GROUPS_FILE: evaluated.groups}
    for name, tables in files.items():
        with replacing(folder / name) as temporary:
            pq.write_table(pa.concat_tables(tables), temporary, compression="zstd")
    write_json(folder / RECORD_FILE, record.to_dict())


def _slate(ranking: Ranking, reranker: Reranker | None, catalogue: Catalogue, k: int, batch: EvaluationBatch) -> Slate:
    if reranker is None:
        return deliver(ranking, k)
    asked = batch.batch  # one query a user
    audience = Audience(asked.users_B[asked.query_rows_Q], asked.seen_QS, asked.history_QS)
    return reranker(ranking, catalogue, k, audience)


def _conclude(result: Evaluated, split: str, measured: Measured) -> None:
    result.metrics[split] = measured.slates.compute()
    result.undefined[split] = measured.slates.undefined()
    result.empty_histories[split] = measured.slates.empty_histories()
    columns = as_columns(measured.groups.values())
    result.groups.append(pa.table({SPLIT: [split] * len(columns["value"]), **columns}))


def _collect(
    result: Evaluated,
    split: str,
    batch: EvaluationBatch,
    delivered: tuple[Ranking, Slate],
    measured: Measured,
    item_ids: np.ndarray,
) -> None:
    ranking, slate = delivered
    values = measured.slates.update(ranking, slate, batch.batch.seen_QS, batch.batch.history_QS)
    measured.groups.update(ranking, slate, batch.batch.seen_QS, values)
    columns = {name: column.double().cpu().numpy() for name, column in values.items()}
    users = np.asarray(batch.user_ids, dtype=object)
    result.users.append(pa.table({SPLIT: [split] * len(users), USER_ID: users.astype(str), **columns}))
    items_BK, scores_BK = slate.items_BK.cpu().numpy(), slate.scores_BK.double().cpu().numpy()
    rows, places = np.nonzero(items_BK >= 0)
    result.slates.append(
        pa.table(
            {
                SPLIT: [split] * len(rows),
                USER_ID: users[rows].astype(str),
                RANK: (places + 1).astype(np.int32),
                ITEM_ID: item_ids[items_BK[rows, places]].astype(str),
                SCORE: scores_BK[rows, places],
            }
        )
    )
