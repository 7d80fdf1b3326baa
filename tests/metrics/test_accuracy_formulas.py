"""The accuracy formulas: values by hand, and the mean over every order in which ties can fall."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from divrec import measures as m


@st.composite
def ranked_users(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Scores of at most six items, many of them tied, and which of them are relevant."""
    size = draw(st.integers(1, 6))
    scores = draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    relevant = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=size, unique=True))
    return scores, relevant


def _placed(scores: list[int], relevant: list[int]) -> tuple[Tensor, Tensor]:
    above = [sum(s > scores[item] for s in scores) for item in relevant]
    ties = [sum(s == scores[item] for s in scores) for item in relevant]
    return torch.tensor([[*above, 0]]), torch.tensor([[*ties, 0]])


def _orders(scores: list[int]) -> list[tuple[int, ...]]:
    """Every order of the items by descending score: all of them are equally likely."""
    everything = itertools.permutations(range(len(scores)))
    return [order for order in everything if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))]


@given(ranked_users(), st.integers(1, 7))
@settings(max_examples=150, deadline=None)
def test_accuracy_is_the_mean_over_all_orders_of_ties(user: tuple[list[int], list[int]], k: int) -> None:
    scores, relevant = user
    above_BT, ties_BT = _placed(scores, relevant)
    orders = _orders(scores)
    recalls, gains, reciprocals, precisions, hit, average = [], [], [], [], [], []
    ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(relevant))))
    for order in orders:
        hits = [place for place, item in enumerate(order[:k]) if item in relevant]
        recalls.append(len(hits) / len(relevant))
        gains.append(sum(1 / math.log2(place + 2) for place in hits) / ideal)
        reciprocals.append(1 / (hits[0] + 1) if hits else 0.0)
        precisions.append(len(hits) / k)
        hit.append(float(bool(hits)))
        average.append(sum((n + 1) / (place + 1) for n, place in enumerate(hits)) / min(k, len(relevant)))
    tables = {
        m.recall: recalls,
        m.ndcg: gains,
        m.mrr: reciprocals,
        m.precision: precisions,
        m.hit_rate: hit,
        m.average_precision: average,
    }
    for measure, values in tables.items():
        assert float(measure(above_BT, ties_BT, k)) == pytest.approx(sum(values) / len(values), abs=1e-6)


@given(ranked_users())
@settings(deadline=None)
def test_auc_counts_won_pairs(user: tuple[list[int], list[int]]) -> None:
    scores, relevant = user
    above_BT, ties_BT = _placed(scores, relevant)
    value = float(m.auc(above_BT, ties_BT, torch.tensor([len(scores)])))
    others = [item for item in range(len(scores)) if item not in relevant]
    if not others:
        assert math.isnan(value)
        return
    # Mann & Whitney 1947: a pair won counts 1, a tie 1/2
    wins = [(scores[r] > scores[o]) + (scores[r] == scores[o]) / 2 for r in relevant for o in others]
    assert value == pytest.approx(sum(wins) / len(wins))


def test_accuracy_by_hand() -> None:
    # hits at ranks 1, 3 and 12 of 20 items; ideal of three hits 1 + 1/log2 3 + 1/2
    above_BT, ties_BT = torch.tensor([[0, 2, 11]]), torch.ones(1, 3, dtype=torch.int64)
    assert float(m.recall(above_BT, ties_BT, 10)) == pytest.approx(2 / 3)
    assert float(m.ndcg(above_BT, ties_BT, 10)) == pytest.approx(1.5 / (1.5 + 1 / math.log2(3)))
    assert float(m.mrr(above_BT, ties_BT, 10)) == 1
    assert float(m.auc(above_BT, ties_BT, torch.tensor([20]))) == pytest.approx(1 - (0 + 1 + 9) / (3 * 17))


def test_the_ideal_holds_no_more_than_k_hits() -> None:
    above_BT = torch.tensor([[0, 1, 2, 3]])
    assert float(m.ndcg(above_BT, torch.ones_like(above_BT), 2)) == pytest.approx(1)
    assert float(m.recall(above_BT, torch.ones_like(above_BT), 2)) == pytest.approx(0.5)


def test_without_a_target_accuracy_is_undefined() -> None:
    nothing = torch.zeros(2, 3, dtype=torch.int64)
    for measure in (m.recall, m.precision, m.hit_rate, m.ndcg, m.mrr, m.average_precision):
        assert measure(nothing, nothing, 5).isnan().all()
    assert m.auc(nothing, nothing, torch.tensor([7, 7])).isnan().all()


def test_padding_changes_no_accuracy() -> None:
    above_BT, ties_BT = torch.tensor([[1, 4]]), torch.tensor([[1, 2]])
    longer_BT, longer_ties_BT = torch.tensor([[0, 1, 0, 4]]), torch.tensor([[0, 1, 0, 2]])
    for measure in (m.recall, m.precision, m.hit_rate, m.ndcg, m.mrr, m.average_precision):
        assert torch.equal(measure(above_BT, ties_BT, 5), measure(longer_BT, longer_ties_BT, 5))
