"""A small training split and batches for the baselines."""

from __future__ import annotations

from collections.abc import Callable

import datasets
import pytest
import torch

from divrec import schema
from divrec.batch import Batch, Catalogue

HISTORIES = [[0, 1, 2, 1], [1, 2], [2, 3, 0], [4], [1, 2, 3, 3, 3]]
SIZE = 6  # item 5 is never touched


@pytest.fixture
def train() -> datasets.Dataset:
    """Five users, with repeated events."""
    rows = {
        "user_id": [f"u{user}" for user in range(len(HISTORIES))],
        "user": list(range(len(HISTORIES))),
        "items": HISTORIES,
        "times": [list(range(len(items))) for items in HISTORIES],
        "events": [[0] * len(items) for items in HISTORIES],
    }
    return datasets.Dataset.from_dict(rows, features=schema.sequence_features())


@pytest.fixture
def catalogue() -> Catalogue:
    """Six items of one category."""
    zeros = torch.zeros(SIZE, 1, dtype=torch.int64)
    vectors_ND = torch.nn.functional.normalize(torch.eye(SIZE) + torch.rand(SIZE, 1) / 3, dim=-1)
    return Catalogue(vectors_ND, zeros, torch.ones(SIZE, 1), 1, zeros[:, 0])


@pytest.fixture
def batch_of() -> Callable[..., Batch]:
    """Builds a batch with one query a user from (user, history weights by item)."""

    def build(users: list[int], histories: list[dict[int, float]]) -> Batch:
        count, width = len(users), max(1, max((len(history) for history in histories), default=1))
        seen_QS, history_QS = torch.full((count, width), SIZE), torch.zeros(count, width)
        for row, history in enumerate(histories):
            seen_QS[row, : len(history)] = torch.tensor(list(history), dtype=torch.int64)
            history_QS[row, : len(history)] = torch.tensor(list(history.values()))
        window = torch.zeros(count, 1, dtype=torch.int64)
        none = torch.zeros(0, dtype=torch.int64)
        return Batch(
            users_B=torch.tensor(users, dtype=torch.int64),
            items_BL=window,
            groups_BL=window,
            events_BL=window,
            query_rows_Q=torch.arange(count),
            query_groups_Q=torch.zeros(count, dtype=torch.int64),
            seen_QS=seen_QS,
            history_QS=history_QS,
            target_queries_P=none,
            target_items_P=none,
            target_values_P=none.float(),
        )

    return build
