"""Formulas against independent implementations, where they are installed; slow definitions stand in elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from divrec import measures
from divrec.ranking import rank
from divrec.similarity import similarity

USERS, SIZE, K = 30, 50, 10
REASON = "is a reference only; the slow definitions hold without it"


def _users(levels: int | None) -> tuple[np.ndarray, np.ndarray, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores (tied where levels are few), relevance as 0 and 1, and the targets' places."""
    generator = torch.Generator().manual_seed(0)
    scores_BN = torch.randn(USERS, SIZE, generator=generator, dtype=torch.float64)
    if levels:
        scores_BN = torch.randint(0, levels, (USERS, SIZE), generator=generator).double()
    targets_BT = torch.stack([torch.randperm(SIZE, generator=generator)[:6] for _ in range(USERS)])
    targets_BT[:, 3:][torch.rand(USERS, 3, generator=generator) < 0.5] = -1
    ranking = rank(scores_BN, targets_BT, None, SIZE, torch.arange(SIZE))
    relevant = np.zeros((USERS, SIZE), dtype=int)
    for user, targets in enumerate(targets_BT.tolist()):
        relevant[user, [target for target in targets if target >= 0]] = 1
    return scores_BN.numpy(), relevant, ranking.above_BT, ranking.ties_BT, ranking.candidates_B


@pytest.mark.parametrize("levels", [None, 4])
def test_scikit_learn(levels: int | None) -> None:
    sklearn = pytest.importorskip("sklearn.metrics", reason=f"scikit-learn {REASON}")
    scores, relevant, above_BT, ties_BT, candidates_B = _users(levels)
    auc = [sklearn.roc_auc_score(r, s) for r, s in zip(relevant, scores, strict=True)]
    assert measures.auc(above_BT, ties_BT, candidates_B).tolist() == pytest.approx(auc, abs=1e-6)
    ndcg = [sklearn.ndcg_score(r[None], s[None], k=K) for r, s in zip(relevant, scores, strict=True)]  # averages ties
    assert measures.ndcg(above_BT, ties_BT, K).tolist() == pytest.approx(ndcg, abs=1e-6)
    if levels is None:  # its average precision has no cut and does not average ties
        full = [sklearn.average_precision_score(r, s) for r, s in zip(relevant, scores, strict=True)]
        assert measures.average_precision(above_BT, ties_BT, SIZE).tolist() == pytest.approx(full, abs=1e-6)


@pytest.mark.slow  # it compiles itself for more than a minute
def test_ranx() -> None:
    ranx = pytest.importorskip("ranx", reason=f"ranx {REASON}")
    scores, relevant, above_BT, ties_BT, _ = _users(None)
    qrels = ranx.Qrels({f"{u:03}": {str(i): 1 for i in np.flatnonzero(row)} for u, row in enumerate(relevant)})
    run = ranx.Run({f"{u:03}": {str(i): float(s) for i, s in enumerate(row)} for u, row in enumerate(scores)})
    pairs = {
        "ndcg": measures.ndcg,
        "recall": measures.recall,
        "precision": measures.precision,
        "hit_rate": measures.hit_rate,
        "mrr": measures.mrr,
    }
    for name, measure in pairs.items():
        theirs = ranx.evaluate(qrels, run, f"{name}@{K}", return_mean=False)
        assert measure(above_BT, ties_BT, K).tolist() == pytest.approx(theirs, abs=1e-6), name
    theirs = ranx.evaluate(qrels, run, f"map@{SIZE}", return_mean=False)  # over all relevant ones, so without a cut
    assert measures.average_precision(above_BT, ties_BT, SIZE).tolist() == pytest.approx(theirs, abs=1e-6)


def test_vendi_score() -> None:
    vendi = pytest.importorskip("vendi_score.vendi", reason=f"vendi-score {REASON}")
    vectors_BKD = torch.nn.functional.normalize(torch.randn(8, 6, 5, dtype=torch.float64), dim=-1)
    theirs = [vendi.score_K(similarity(row, row).numpy()) for row in vectors_BKD]
    assert measures.vendi_score(vectors_BKD, torch.ones(8, 6, dtype=torch.bool)).tolist() == pytest.approx(theirs)


def test_scipy_jensen_shannon() -> None:
    from scipy.spatial.distance import jensenshannon

    p, q = torch.rand(20, 7).double(), torch.rand(20, 7).double()
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    assert measures.jensen_shannon(p, q).tolist() == pytest.approx(jensenshannon(p, q, axis=1) ** 2, abs=1e-9)
