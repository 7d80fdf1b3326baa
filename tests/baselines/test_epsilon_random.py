"""The mix of a baseline and chance, and popularity of the last days."""

from __future__ import annotations

from collections.abc import Callable

import datasets
import numpy as np
import pytest
import torch

from divrec.baselines import EpsilonRandom, Popular
from divrec.batch import Batch, Catalogue
from divrec.errors import ConfigError, DataError

BatchOf = Callable[..., Batch]
DAY = 86_400


def _mixed(epsilon: float, size: int = 200, users: int = 60, seed: int = 0) -> tuple[torch.Tensor, Batch]:
    zeros = torch.zeros(size, 1, dtype=torch.int64)
    items = [[item for item in range(size) for _ in range(size - item)]]  # item 0 sells best
    train = datasets.Dataset.from_dict({"user": [0], "items": items})
    baseline = EpsilonRandom(Popular(), epsilon, seed)
    baseline.fit(train, Catalogue(torch.eye(size), zeros, torch.ones(size, 1), 1, zeros[:, 0]))
    none = zeros[:0, 0]
    rows = torch.zeros(users, 1, dtype=torch.int64)
    batch = Batch(
        torch.arange(users), rows, rows, rows, torch.arange(users), rows[:, 0], rows + size, rows.float(), *(none,) * 3
    )
    return baseline(batch).scores_QN, batch


def test_the_ends_are_the_base_and_chance() -> None:
    base, chance = _mixed(0.0)[0], _mixed(1.0)[0]
    assert torch.equal(base.argsort(dim=-1, descending=True), torch.arange(200).expand(60, -1))
    first = chance.argmax(-1)
    assert len(first.unique()) > 40
    assert all(len(row.unique()) == 200 for row in chance)


def test_epsilon_is_the_share_of_random_places() -> None:
    scores_QN, _ = _mixed(0.3, users=300)
    head = scores_QN.topk(10).indices
    from_base = (head < 10).double().mean()
    # a random place hits the head by chance in 5 % of the cases; ten places, 300 users: five standard errors
    assert float(from_base) == pytest.approx(0.7, abs=5 * np.sqrt(0.21 / 3000) + 0.05)


def test_places_follow_the_definition() -> None:
    scores_QN, _ = _mixed(0.4, size=12, users=5)
    for user in range(5):
        generator = np.random.default_rng([0, user])
        generator.permutation(12)
        coins = generator.random(24) < 0.4
        streams = {True: iter(generator.permutation(12)), False: iter(range(12))}
        listed: list[int] = []
        for coin in coins:
            item = next(streams[bool(coin)], None)
            if item is not None and item not in listed:
                listed.append(int(item))
        assert scores_QN[user].argsort(descending=True)[: len(listed)].tolist() == listed


def test_seeds_differ() -> None:
    assert not torch.equal(_mixed(0.5)[0], _mixed(0.5, seed=1)[0])
    for arguments in ({"epsilon": 1.2}, {"epsilon": 0.5, "seed": -1}):
        with pytest.raises(ConfigError, match=r"model\."):
            EpsilonRandom(Popular(), **arguments)  # type: ignore[arg-type]


def test_popularity_of_the_last_days(catalogue: Catalogue, batch_of: BatchOf) -> None:
    times = [[0, 5 * DAY, 9 * DAY], [8 * DAY, 10 * DAY]]
    train = datasets.Dataset.from_dict({"user": [0, 1], "items": [[0, 1, 2], [2, 3]], "times": times})
    expected = {None: [1, 1, 2, 1, 0, 0], 3.0: [0, 0, 2, 1, 0, 0], 0.5: [0, 0, 0, 1, 0, 0]}
    for days, counts in expected.items():
        popular = Popular(days)
        popular.fit(train, catalogue)
        assert popular(batch_of([0], [{}])).scores_QN.tolist() == [counts]


def test_last_days_need_times(catalogue: Catalogue) -> None:
    train = datasets.Dataset.from_dict({"user": [0], "items": [[0, 1]]})
    with pytest.raises(DataError, match="no times"):
        Popular(7).fit(train, catalogue)
    with pytest.raises(ConfigError, match=r"model\.days"):
        Popular(0)
