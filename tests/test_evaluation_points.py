"""One pass gives every point: lists, per-user values, groups and records, whatever the batches."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn

from divrec.analysis import read_groups, read_record, read_slates, read_users
from divrec.batch import Batch, EvaluationBatch, ModelOutput
from divrec.evaluation import AS_RANKED, Evaluated, Protocol, evaluate, point_name, write_point
from divrec.metrics import SlateMetrics
from divrec.schema import RunRecord
from metrics.world import SIZE, World
from rerank.shop import NAMES, configured

USERS, K = 14, 5


class Table(nn.Module):
    """Scores from a table, by the user's index."""

    def __init__(self, scores_UN: Tensor) -> None:
        super().__init__()
        self.register_buffer("scores_UN", scores_UN)

    def forward(self, batch: Batch) -> ModelOutput:
        return ModelOutput(self.scores_UN[batch.users_B[batch.query_rows_Q]])


def _batches(world: World, sizes: list[int]) -> list[EvaluationBatch]:
    none, found, start = torch.zeros(0, dtype=torch.int64), [], 0
    for size in sizes:
        rows = torch.arange(start, start + size)
        window = torch.zeros(size, 1, dtype=torch.int64)
        batch = Batch(
            users_B=rows,
            items_BL=window,
            groups_BL=window,
            events_BL=window,
            query_rows_Q=torch.arange(size),
            query_groups_Q=window[:, 0],
            seen_QS=world.seen_BS[rows],
            history_QS=world.history_BS[rows],
            target_queries_P=none,
            target_items_P=none,
            target_values_P=none.float(),
        )
        found.append(EvaluationBatch(batch, world.targets_BT[rows], tuple(f"u{user}" for user in rows.tolist())))
        start += size
    return found


def _evaluated(sizes: list[int]) -> dict[str, Evaluated]:
    world = World.make(users=USERS)
    protocol = Protocol(lambda catalogue: SlateMetrics(catalogue, (3, K)), K, 20, True, world.places_N)
    splits = {split: _batches(world, sizes) for split in ("validation", "test")}
    strategies = [configured(name, 0.5) for name in NAMES]
    return evaluate(
        Table(world.scores_BN), splits, world.catalogue, [f"i{item}" for item in range(SIZE)], protocol, strategies
    )


def test_batches_change_nothing_for_any_strategy() -> None:
    whole, parts = _evaluated([14]), _evaluated([5, 1, 8])
    assert set(whole) == {AS_RANKED, *(point_name(configured(name, 0.5)) for name in NAMES)}
    for name, evaluated in whole.items():
        assert parts[name].metrics["test"] == pytest.approx(evaluated.metrics["test"], nan_ok=True), name
        assert pa.concat_tables(parts[name].slates).equals(pa.concat_tables(evaluated.slates)), name
        groups = [pa.concat_tables(each.groups).to_pandas() for each in (parts[name], evaluated)]
        assert groups[0].drop(columns="value").equals(groups[1].drop(columns="value")), name
        assert groups[0]["value"].tolist() == pytest.approx(groups[1]["value"].tolist(), nan_ok=True), name


def test_a_strategy_with_a_memory_starts_anew_for_each_split() -> None:
    point = _evaluated([14])["exposure-0.5"]
    assert point.metrics["validation"] == pytest.approx(point.metrics["test"], nan_ok=True)


def test_what_is_written_is_what_the_analysis_reads(tmp_path: Path) -> None:
    evaluated = _evaluated([9, 5])[AS_RANKED]
    record = RunRecord("id", "baseline", "r", {}, 0, {}, {}, {}, evaluated.metrics, {}, {})
    write_point(tmp_path, record, evaluated)
    found = read_record(tmp_path)
    users = read_users(tmp_path, "test")
    assert len(users) == USERS
    for name in users.columns.drop(["split", "user_id"]):
        assert found.metrics["test"][name] == pytest.approx(users[name].mean(), nan_ok=True), name
    assert len(read_slates(tmp_path, "test")) > 0
    groups = read_groups(tmp_path)
    assert list(groups.columns) == ["split", "grouping", "group", "metric", "value", "users"]
    assert set(groups["grouping"]) == {"activity", "popularity", "category"}
    activity = read_groups(tmp_path, "test").query("grouping == 'activity'")
    ilad = activity[activity["metric"] == f"ilad@{K}"]
    mean = (ilad["value"] * ilad["users"]).sum() / ilad["users"].sum()
    assert mean == pytest.approx(found.metrics["test"][f"ilad@{K}"])
    content = json.loads((tmp_path / "record.json").read_text())
    assert not any(isinstance(value, float) and math.isnan(value) for value in content["metrics"]["test"].values())


def test_the_record_is_whole() -> None:
    evaluated = _evaluated([14])[AS_RANKED]
    assert set(evaluated.metrics) == {"validation", "test"}
    assert len(evaluated.metrics["test"]) == 2 * (6 + 11 + 5 + 4 + 3) + 2
    assert dataclasses.asdict(RunRecord("id", "base", "r", {}, 0, {}, {}, {}, evaluated.metrics, {}, {}))
