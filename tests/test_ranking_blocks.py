"""Ranking a block of items at a time gives what ranking all at once gives, to the bit."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from divrec import ranking_blocks
from divrec.batch import Ranking
from divrec.errors import ConfigError, DataError
from divrec.ranking import rank, tie_order
from divrec.ranking_blocks import rank_blocks
from test_ranking import cases

Case = tuple[Tensor, Tensor, Tensor | None, int, Tensor]


def same(one: Ranking, other: Ranking) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one)]
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def in_blocks(case: Case, block: int) -> Ranking:
    scores_BN, *others = case
    return rank_blocks(lambda users, items: scores_BN[users, items], block, *others)


@given(cases(), st.integers(1, 100))
@settings(max_examples=150, deadline=None)
def test_blocks_change_nothing(case: Case, block: int) -> None:
    assert same(in_blocks(case, block), rank(*case))


@given(cases(), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_chunks_of_users_change_nothing_either(case: Case, block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking_blocks, "CHUNK", 1)
        assert same(in_blocks(case, block), rank(*case))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("block", [1, 3, 40])
def test_any_type_of_score(dtype: torch.dtype, block: int) -> None:
    generator = torch.Generator().manual_seed(0)
    scores_BN = torch.randint(0, 5, (4, 40), generator=generator).to(dtype)
    targets_BT = torch.stack([torch.randperm(40, generator=generator)[:3] for _ in range(4)])
    case = scores_BN, targets_BT, None, 7, tie_order(40, 1)
    assert same(in_blocks(case, block), rank(*case))


def test_no_more_than_a_block_is_ever_scored() -> None:
    scores_BN, widths = torch.randn(3, 100), []

    def score(users: slice, items: slice) -> Tensor:
        widths.append(scores_BN[users, items].shape[1])
        return scores_BN[users, items]

    rank_blocks(score, 30, torch.full((3, 1), -1), None, 50, tie_order(100, 0))
    assert widths == [30, 30, 30, 10] * 2


def test_no_user_gives_an_empty_ranking() -> None:
    case = torch.empty(0, 5), torch.empty(0, 2, dtype=torch.int64), None, 3, torch.arange(5)
    assert same(in_blocks(case, 2), rank(*case))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 9])
def test_scores_that_are_not_finite_are_refused(bad: float, place: int) -> None:
    scores_BN = torch.zeros(2, 10)
    scores_BN[1, place] = bad
    with pytest.raises(DataError, match="not finite"):
        in_blocks((scores_BN, torch.full((2, 1), -1), None, 1, torch.arange(10)), 4)


@pytest.mark.parametrize(("block", "top", "named"), [(0, 1, "block"), (2, 0, "top")])
def test_blocks_and_rankings_of_nothing_are_refused(block: int, top: int, named: str) -> None:
    with pytest.raises(ConfigError, match=f"{named}: must be at least 1"):
        in_blocks((torch.zeros(1, 3), torch.full((1, 1), -1), None, top, torch.arange(3)), block)
