"""The pattern that stands for several strategies."""

from __future__ import annotations

import pytest

from divrec.run.evaluate import spelled_out


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("rerank=glob(m*)", "rerank=[mmr,msd,msd_category]"),
        ("rerank=glob(dpp)", "rerank=[dpp]"),
        ("rerank=mmr", "rerank=mmr"),
        ("run=glob(m*)", "run=glob(m*)"),
    ],
)
def test_a_pattern_is_spelled_out(argument: str, expected: str) -> None:
    assert spelled_out(argument) == expected


def test_everything_leaves_none_out() -> None:
    names = spelled_out("rerank=glob(*)").removeprefix("rerank=[").removesuffix("]").split(",")
    assert "none" not in names
    assert len(names) >= 11
