"""The pattern that stands for several strategies."""

from __future__ import annotations

import pytest

from divrec.errors import ConfigError
from divrec.run.evaluate import spell_out, spelled_out


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


def test_a_pattern_without_a_match_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no strategy matches; got 'zzz"):
        spelled_out("rerank=glob(zzz*)")
    monkeypatch.setattr("sys.argv", ["evaluate.py", "run=a", "rerank=glob(none)"])
    with pytest.raises(SystemExit, match="^ConfigError: rerank: no strategy matches"):
        spell_out()
