"""Metrics by group against a loop over users, and set-level values of parts of the catalogue."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from divrec import measures
from divrec.metrics import GroupMetrics, GroupValue, SlateMetrics
from divrec.ranking import deliver
from metrics.world import CATEGORIES, SIZE, World

K = 5


def _measured(world: World, batches: list[slice]) -> tuple[dict[tuple[str, str, str], GroupValue], World]:
    metrics = SlateMetrics(world.catalogue, (K, 10))
    groups = GroupMetrics(world.catalogue, metrics.sizes, metrics.names)
    for batch in batches:
        ranking, slate, values = world.users(batch).measure(metrics)
        groups.update(ranking, slate, world.users(batch).seen_BS, values)
    return {(v.grouping, v.group, v.metric): v for v in groups.values()}, world


def _members(world: World, grouping: str, group: str) -> list[tuple[int, list[int]]]:
    """Users of a group, with those targets that count for it."""
    found = []
    classes = measures.popularity_class(world.catalogue.counts_N).tolist()
    for user in range(len(world.scores_BN)):
        seen = [item for item in world.seen_BS[user].tolist() if item < SIZE]
        targets = [item for item in world.targets_BT[user].tolist() if item >= 0 and item not in seen]
        if grouping == "activity":
            name = "cold" if len(seen) <= 5 else "light" if len(seen) <= 20 else "heavy"
            if name == group:
                found.append((user, targets))
            continue
        if grouping == "popularity":
            kept = [t for t in targets if measures.POPULARITY_CLASSES[classes[t]] == group]
        else:
            inside = world.catalogue.category_weights_NJ > 0
            kept = [t for t in targets if int(group) in world.catalogue.categories_NJ[t][inside[t]].tolist()]
        if kept:
            found.append((user, kept))
    return found


def _pairs(world: World, members: list[tuple[int, list[int]]]) -> tuple[float, int]:
    """Pairs (counted target, other rankable item) that the target wins, a tie being half won; and all of them."""
    won, pairs = 0.0, 0
    for user, targets in members:
        scores, seen = world.scores_BN[user].tolist(), set(world.seen_BS[user].tolist())
        for target in targets:
            for other in set(range(SIZE)) - seen - set(targets):
                won += (scores[target] > scores[other]) + (scores[target] == scores[other]) / 2
                pairs += 1
    return won, pairs


@pytest.mark.parametrize("seed", [0, 3])
def test_every_metric_of_every_group_equals_a_loop(seed: int) -> None:
    found, world = _measured(World.make(users=40, seed=seed), [slice(0, 17), slice(17, 40)])
    metrics = SlateMetrics(world.catalogue, (K, 10))
    _, _, values = world.measure(metrics)
    groups = sorted({key[:2] for key in found if key[2] == f"ilad@{K}"})
    assert {grouping for grouping, _ in groups} == {"activity", "popularity", "category"}
    for grouping, group in groups:
        members = _members(world, grouping, group)
        rows = torch.tensor([user for user, _ in members])
        for name in (f"ilad@{K}", f"calibration_kl@{K}", f"alpha_ndcg@{K}"):
            expected = values[name][rows]
            assert found[grouping, group, name].value == pytest.approx(float(expected.nanmean()), nan_ok=True)
            assert found[grouping, group, name].users == int((~expected.isnan()).sum())
        kept_BT = torch.full((len(members), 4), -1)
        for row, (_, targets) in enumerate(members):
            kept_BT[row, : len(targets)] = torch.tensor(targets)
        restricted = replace(world.users(rows), targets_BT=kept_BT).ranking()
        for name, measure in (
            ("recall", measures.recall),
            ("ndcg", measures.ndcg),
            ("map", measures.average_precision),
        ):
            expected = measure(restricted.above_BT, restricted.ties_BT, K)
            assert found[grouping, group, f"{name}@{K}"].value == pytest.approx(
                float(expected.nanmean()), nan_ok=True
            ), (grouping, group, name)
        aucs = measures.auc(restricted.above_BT, restricted.ties_BT, restricted.candidates_B)
        assert found[grouping, group, "auc"].value == pytest.approx(float(aucs.nanmean()), nan_ok=True)
        won, pairs = _pairs(world, members)
        pooled = found[grouping, group, "auc_pooled"]
        assert pooled.value == pytest.approx(won / pairs if pairs else math.nan, nan_ok=True)
        assert pooled.users == len(members)


def test_set_level_values_of_parts() -> None:
    found, world = _measured(World.make(users=40), [slice(0, 40)])
    slate = deliver(world.ranking(), 10)
    shown = torch.zeros(SIZE, dtype=torch.int64)
    for row in slate.items_BK[:, :K].tolist():
        for item in row:
            if item >= 0:
                shown[item] += 1
    classes = measures.popularity_class(world.catalogue.counts_N)
    for place, name in enumerate(measures.POPULARITY_CLASSES):
        part = shown[classes == place]
        assert found["popularity", name, f"coverage@{K}"].value == pytest.approx(float((part > 0).double().mean()))
    inside = world.catalogue.category_weights_NJ > 0
    for category in range(CATEGORIES):
        items = [i for i in range(SIZE) if category in world.catalogue.categories_NJ[i][inside[i]].tolist()]
        value = found["category", str(category), f"gini@{K}"].value
        expected = float(measures.gini_index(shown[items].double()))
        assert value == pytest.approx(expected, nan_ok=True)
    members = [user for user, _ in _members(world, "activity", "light")]
    listed = slate.items_BK[members, :K]
    share = len(set(listed[listed >= 0].tolist())) / SIZE
    assert found["activity", "light", f"coverage@{K}"].value == pytest.approx(share)
    assert found["activity", "light", f"coverage@{K}"].users == len(members)


def test_popularity_classes_by_hand() -> None:
    # 100 events: the head holds at least 20 (the first item alone), the tail at least 20 (5 + 5 + 10)
    counts = torch.tensor([30, 25, 25, 10, 5, 5, 0])
    assert measures.popularity_class(counts).tolist() == [0, 1, 1, 2, 2, 2, 3]
    assert measures.popularity_class(torch.tensor([4, 4, 4])).tolist() == [0, 0, 0]
    assert measures.popularity_class(torch.tensor([0, 0])).tolist() == [3, 3]
    assert measures.popularity_class(torch.tensor([], dtype=torch.int64)).tolist() == []


def test_groups_without_users_are_left_out() -> None:
    found, _ = _measured(World.make(users=3), [slice(0, 1)])  # the first user has no target
    assert {grouping for grouping, _, metric in found if metric == f"ilad@{K}"} == {"activity"}
    assert not any(math.isnan(v.value) for v in found.values() if v.metric == f"coverage@{K}")
