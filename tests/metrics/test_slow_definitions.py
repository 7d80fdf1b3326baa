"""Every metric against its definition, one user at a time in plain Python."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from divrec.batch import Catalogue
from divrec.metrics import SlateMetrics
from metrics.world import CATEGORIES, SIZE, World

K = 5
nan = math.nan


class User:
    """One user's list, history and targets as plain Python."""

    def __init__(self, world: World, items: Sequence[int], user: int) -> None:
        self.catalogue: Catalogue = world.catalogue
        self.items = [item for item in items if item >= 0]
        pairs = zip(world.seen_BS[user].tolist(), world.history_BS[user].tolist(), strict=True)
        self.history = [(item, weight) for item, weight in pairs if item < SIZE and weight > 0]
        seen = {item for item in world.seen_BS[user].tolist() if item < SIZE}
        self.targets = [item for item in world.targets_BT[user].tolist() if item >= 0 and item not in seen]

    def row(self, item: int) -> list[float]:
        """The item's row of A."""
        row = [0.0] * CATEGORIES
        places = zip(self.catalogue.categories_NJ[item], self.catalogue.category_weights_NJ[item], strict=True)
        for category, weight in places:
            row[int(category)] += float(weight)
        return row

    def share(self, weighted: Sequence[tuple[int, float]]) -> list[float]:
        """Category shares of weighted items; uniform for none."""
        total = sum(weight for _, weight in weighted)
        if not total:
            return [1 / CATEGORIES] * CATEGORIES
        return [sum(weight * self.row(item)[c] for item, weight in weighted) / total for c in range(CATEGORIES)]

    @property
    def q(self) -> list[float]:
        return self.share([(item, 1.0) for item in self.items])

    @property
    def q_history(self) -> list[float]:
        return self.share(self.history)

    def cosine(self, left: int, right: int) -> float:
        return float(self.catalogue.vectors_ND[left] @ self.catalogue.vectors_ND[right])

    def category_distance(self, left: int, right: int) -> float:
        a, b = self.row(left), self.row(right)
        return 1 - sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))

    def from_history(self, item: int) -> float:
        total = sum(weight for _, weight in self.history)
        return sum(weight * (1 - self.cosine(item, other)) for other, weight in self.history) / total

    @property
    def intents(self) -> set[int]:
        return {c for target in self.targets for c in range(CATEGORIES) if self.row(target)[c] > 0}


def _kl(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(x * math.log(x / y) for x, y in zip(p, q, strict=True) if x > 0)


def _pairs(user: User, distance: Callable[[int, int], float], summary: Callable[[list[float]], float]) -> float:
    found = [distance(a, b) for a, b in itertools.combinations(user.items, 2)]
    return summary(found) if found else nan


def _vendi(user: User) -> float:
    kernel = np.array([[(1 + user.cosine(a, b)) / 2 for b in user.items] for a in user.items]) / len(user.items)
    values = [value for value in np.linalg.eigvalsh(kernel) if value > 1e-12]
    return math.exp(-sum(value * math.log(value) for value in values))


def _long_tail(user: User) -> float:
    counts = user.catalogue.counts_N.tolist()
    total = sum(counts)
    # the largest count such that all items of at least that count hold 20 % of the events, and the mirror image
    head = max(c for c in set(counts) if 5 * sum(x for x in counts if x >= c) >= total)
    tail = min(c for c in set(counts) if 5 * sum(x for x in counts if x <= c) >= total)
    rare = [counts[item] == 0 or (counts[item] <= tail and counts[item] < head) for item in user.items]
    return sum(rare) / len(rare)


def _beta_half(user: User) -> float:
    p = [0.99 * x + 0.01 / CATEGORIES for x in user.q]
    q = [0.99 * x + 0.01 / CATEGORIES for x in user.q_history]
    # order 1/2: [p^.5 - .5 q^.5 - .5 p q^-.5] / (.5 * -.5)
    return sum(-4 * (x**0.5 - 0.5 * y**0.5 - 0.5 * x * y**-0.5) for x, y in zip(p, q, strict=True))


def _jensen_shannon(user: User) -> float:
    middle = [(x + y) / 2 for x, y in zip(user.q, user.q_history, strict=True)]
    return (_kl(user.q, middle) + _kl(user.q_history, middle)) / 2


def _calibration(user: User) -> float:
    return _kl(user.q_history, [0.99 * x + 0.01 * y for x, y in zip(user.q, user.q_history, strict=True)])


def _alpha_ndcg(user: User) -> float:
    if not user.intents:
        return nan
    gained = ideal = 0.0
    for place, item in enumerate(user.items):
        row, before = user.row(item), user.items[:place]
        worth = sum(row[c] * 0.5 ** sum(user.row(other)[c] for other in before) for c in user.intents)
        gained += worth / math.log2(place + 2)
    for place in range(K):
        ideal += 0.5 ** (place // len(user.intents)) / math.log2(place + 2)
    return gained / ideal


def _subtopic_recall(user: User) -> float:
    touched = {c for item in user.items for c in range(CATEGORIES) if user.row(item)[c] > 0}
    return len(touched & user.intents) / len(user.intents) if user.intents else nan


def _eild(user: User) -> float:
    if not user.intents or len(user.items) < 2:
        return nan
    relevance = [sum(user.row(item)[c] for c in user.intents) for item in user.items]
    total = value = 0.0
    for i, item in enumerate(user.items):
        others = [j for j in range(len(user.items)) if j != i]
        weights = [relevance[j] / math.log2(max(1, j - i) + 1) for j in others]
        distances = [1 - user.cosine(item, user.items[j]) for j in others]
        inner = sum(w * d for w, d in zip(weights, distances, strict=True)) / sum(weights) if sum(weights) else 0.0
        value += relevance[i] * inner / math.log2(i + 2)
        total += 1 / math.log2(i + 2)
    return value / total


def _serendipity(user: User) -> float:
    if not user.targets or not user.history:
        return nan
    return sum(user.from_history(item) for item in user.items if item in user.targets) / K


SLOW: dict[str, Callable[[User], float]] = {
    "entropy": lambda u: -sum(x * math.log(x) for x in u.q if x > 0),
    "simpson": lambda u: 1 - sum(x * x for x in u.q),
    "categories": lambda u: sum(x > 0 for x in u.q),
    "ilad": lambda u: _pairs(u, lambda a, b: 1 - u.cosine(a, b), lambda d: sum(d) / len(d)),
    "ilmd": lambda u: _pairs(u, lambda a, b: 1 - u.cosine(a, b), min),
    "ilad_category": lambda u: _pairs(u, u.category_distance, lambda d: sum(d) / len(d)),
    "ilmd_category": lambda u: _pairs(u, u.category_distance, min),
    "vendi": _vendi,
    "average_popularity": lambda u: sum(int(u.catalogue.counts_N[i]) for i in u.items) / len(u.items),
    "long_tail": _long_tail,
    "overlap": lambda u: sum(2 * x * y for x, y in zip(u.q, u.q_history, strict=True)) / 2,
    "beta_divergence": _beta_half,
    "calibration_kl": _calibration,
    "calibration_js": _jensen_shannon,
    "unexpectedness": lambda u: sum(map(u.from_history, u.items)) / len(u.items) if u.history else nan,
    "alpha_ndcg": _alpha_ndcg,
    "subtopic_recall": _subtopic_recall,
    "eild": _eild,
    "serendipity": _serendipity,
}
TESTED_ELSEWHERE = {"recall", "precision", "hit_rate", "ndcg", "mrr", "map", "auc", "popularity"}


def test_no_metric_is_left_out() -> None:
    names = {name.partition("@")[0] for name in SlateMetrics(World.make().catalogue, K).names}
    assert names == SLOW.keys() | TESTED_ELSEWHERE


@pytest.mark.parametrize("name", SLOW)
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_slow_definition(name: str, seed: int) -> None:
    world, metrics = World.make(seed=seed), SlateMetrics(World.make(seed=seed).catalogue, (K, 10))
    _, slate, values = world.measure(metrics)
    users = [User(world, row[:K], user) for user, row in enumerate(slate.items_BK.tolist())]
    slow = [SLOW[name](user) if user.items else nan for user in users]
    assert values[f"{name}@{K}"].tolist() == pytest.approx(slow, abs=1e-6, nan_ok=True)
    defined = [value for value in slow if not math.isnan(value)]
    assert metrics.compute()[f"{name}@{K}"] == pytest.approx(sum(defined) / len(defined), abs=1e-6)
    assert len(set(defined)) > 2  # a metric that is always the same would prove nothing


@pytest.mark.parametrize("seed", [0, 1])
def test_set_level_values(seed: int) -> None:
    world = World.make(seed=seed)
    metrics = SlateMetrics(world.catalogue, K)
    ranking, slate, _ = world.measure(metrics, K)
    shown = [item for row in slate.items_BK.tolist() for item in row if item >= 0]
    shares = [shown.count(item) / len(shown) for item in range(SIZE)]
    values = metrics.compute()
    entropy = -sum(x * math.log(x) for x in shares if x > 0)
    assert values[f"effective_coverage@{K}"] == pytest.approx(math.exp(entropy) / SIZE)
    assert values[f"coverage@{K}"] == pytest.approx(len(set(shown)) / SIZE)
    won = pairs = 0.0
    for user, targets in enumerate(ranking.targets_BT.tolist()):
        relevant = [t for t in targets if t >= 0]
        seen = world.seen_BS[user].tolist()
        others = [i for i in range(SIZE) if i not in relevant and i not in seen]
        scores = world.scores_BN[user].tolist()
        won += sum((scores[r] > scores[o]) + (scores[r] == scores[o]) / 2 for r in relevant for o in others)
        pairs += len(relevant) * len(others)
    assert values["auc_pooled"] == pytest.approx(won / pairs)


@pytest.mark.parametrize("seed", range(4))
def test_renaming_items_or_reordering_users_changes_nothing(seed: int) -> None:
    world, generator = World.make(seed=seed), torch.Generator().manual_seed(seed)
    metrics = [SlateMetrics(world.catalogue, (K, 10))]
    order_B = torch.randperm(len(world.scores_BN), generator=generator)
    renamed = world.renumbered(torch.randperm(SIZE, generator=generator))
    metrics += [SlateMetrics(renamed.catalogue, (K, 10)), SlateMetrics(world.catalogue, (K, 10))]
    _, _, straight = world.measure(metrics[0])
    _, _, other = renamed.measure(metrics[1])
    _, _, moved = world.users(order_B).measure(metrics[2])
    for name, values in straight.items():
        torch.testing.assert_close(other[name], values, equal_nan=True, rtol=1e-6, atol=1e-9)
        torch.testing.assert_close(moved[name], values[order_B], equal_nan=True, rtol=1e-6, atol=1e-9)
    for each in metrics[1:]:
        assert each.compute() == pytest.approx(metrics[0].compute(), nan_ok=True)


def test_ranges_hold() -> None:
    highest = {
        "entropy": math.log(CATEGORIES),
        "categories": CATEGORIES,
        "ilad": 2,
        "ilmd": 2,
        "vendi": K,
        "average_popularity": 11,
        "beta_divergence": math.inf,
        "calibration_kl": math.log(100),
        "calibration_js": math.log(2),
        "unexpectedness": 2,
        "eild": 2,
        "serendipity": 2,
    }
    for seed in range(10):
        world = World.make(seed=seed)
        _, _, values = world.measure(SlateMetrics(world.catalogue, K), K)
        for name, column in values.items():
            defined = column[~column.isnan()]
            assert (defined >= -1e-9).all(), name
            assert (defined <= highest.get(name.partition("@")[0], 1) + 1e-9).all(), name
