"""The same lists as pyversity 0.2.0 at equal parameters and similarity; the golden table holds where it is missing.

Regenerate the table with `PYTHONPATH=tests python tests/rerank/test_pyversity_parity.py`, where pyversity is installed.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from divrec.batch import Catalogue, Ranking
from divrec.similarity import embed
from rerank.shop import configured, make_catalogue, make_ranking

GOLDEN = Path(__file__).with_name("pyversity_lists.json")
USERS, SIZE, TOP, K, WIDTH = 40, 300, 100, 10, 16
CASES = [(name, d) for name in ("mmr", "msd", "dpp", "ssd", "ssd_window") for d in (0.2, 0.5, 0.8)]


def _shop() -> tuple[Ranking, Catalogue]:
    vectors_ND = normalize(torch.randn(SIZE, WIDTH, generator=torch.Generator().manual_seed(4)), dim=-1)
    catalogue = dataclasses.replace(make_catalogue(SIZE), vectors_ND=vectors_ND)
    scores_BN = torch.randn(USERS, SIZE, generator=torch.Generator().manual_seed(5))
    nobody = torch.zeros(USERS, 1, dtype=torch.int64)
    top = scores_BN.topk(TOP)
    return Ranking(top.indices, top.values, nobody - 1, nobody, nobody, nobody[:, 0] + SIZE), catalogue


def _ours(name: str, diversity: float) -> list[list[int]]:
    others = {"window": 3} if name == "ssd_window" else {}
    slate = configured(name.removesuffix("_window"), diversity, **others)(*_shop(), K)
    return slate.items_BK.tolist()


def _theirs(name: str, diversity: float) -> list[list[int]]:
    """S = (1 + cos) / 2 is the cosine of the factors E, so pyversity's clipped cosine is our similarity."""
    from pyversity import strategies

    ranking, catalogue = _shop()
    vectors = catalogue.vectors_ND if name == "msd" else embed(catalogue.vectors_ND)
    lists = []
    for items, scores in zip(ranking.items_BM.numpy(), ranking.scores_BM.double().numpy(), strict=True):
        standard = ((scores - scores.mean()) / scores.std()).astype(np.float32)
        features, others = vectors.numpy()[items], {}
        if name.startswith("ssd"):
            others = {"append_bias": False, "window": 3 if name == "ssd_window" else None}
        if name == "dpp":  # its weights are exp(beta z), beta = (1 - diversity) * scale; ours (1 - d) / (2 d)
            others = {"scale": 1 / (2 * diversity)}
        strategy = getattr(strategies, name.removesuffix("_window"))
        result = strategy(features, standard, K, diversity=diversity, **others)
        lists.append(items[result.indices].tolist())
    return lists


@pytest.mark.parametrize(("name", "diversity"), CASES)
def test_lists_equal_the_golden_ones(name: str, diversity: float) -> None:
    golden = json.loads(GOLDEN.read_text())[f"{name}-{diversity}"]
    assert _ours(name, diversity) == golden


@pytest.mark.parametrize(("name", "diversity"), CASES)
def test_lists_equal_those_of_pyversity(name: str, diversity: float) -> None:
    pytest.importorskip("pyversity", reason="pyversity==0.2.0 is a reference only; the golden table stands in for it")
    assert _ours(name, diversity) == _theirs(name, diversity)


def test_the_knob_of_the_table_matters() -> None:
    assert _ours("mmr", 0.2) != _ours("mmr", 0.8)
    ranking = make_ranking(2, 9, 9)
    assert ranking.items_BM.shape == (2, 9)


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({f"{name}-{d}": _theirs(name, d) for name, d in CASES}) + "\n")
