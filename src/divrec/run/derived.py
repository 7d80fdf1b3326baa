"""Points that a finished run gives without a training: whether one is there already, and what its record adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from divrec.errors import RecordError
from divrec.evaluation import Evaluated, rerank_facts
from divrec.rerank import Reranker
from divrec.run.identity import code, recorded


def is_there(folder: Path, identity: str, reranker: Reranker | None, otherwise: str) -> bool:
    """Whether a point lies in this folder already.

    Args:
        folder: of the point.
        identity: that its record has to have.
        reranker: that it was asked with; None = the ranking as it came. Records of earlier versions do not tell all
            parameters: those that are not told are taken for the same.
        otherwise: what a point of another identity is.

    Raises:
        RecordError: a point of another identity or of other parameters lies there, or its record is broken.
    """
    found = recorded(folder)
    if found is None:
        return False
    if found["identity"] != identity:
        raise RecordError(otherwise, where=str(folder), mend="A run was trained again: delete this folder.")
    told, asked = found.get("rerank", {}), {} if reranker is None else rerank_facts(reranker)
    if differing := [f"{key}: {told[key]} -> {asked[key]}" for key in asked if key in told and told[key] != asked[key]]:
        raise RecordError(
            f"holds a point of other parameters ({'; '.join(differing)})",
            where=str(folder),
            mend="Delete this folder to have it made anew; to keep both, re-rank a copy of the run's folder.",
        )
    return True


def facts(evaluated: Evaluated, reranker: Reranker | None) -> dict[str, Any]:
    """What the record of a derived point says of its own: all but its name and its cost."""
    return {
        "rerank": {} if reranker is None else rerank_facts(reranker),
        "code": code(),
        **evaluated.outcome(),
    }
