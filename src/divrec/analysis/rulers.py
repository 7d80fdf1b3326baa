"""Which metrics are measured with a ruler of the run's own, and whether runs were measured with the same one.

Text metrics are measured with the frozen vectors of the run's encoder, category metrics with the items' categories (or
with clusters of those vectors). record.json carries a short hash of either (`data.ruler`); records of earlier versions
carry none and count as alike.
"""

from __future__ import annotations

from collections.abc import Sequence

from divrec.schema import RULER, RunRecord

VECTORS, CATEGORIES = "vectors", "categories"
RULERS = (VECTORS, CATEGORIES)
_TEXT = frozenset({"ilad", "ilmd", "vendi", "unexpectedness", "serendipity"})
_CATEGORY = frozenset(
    {
        "entropy",
        "simpson",
        "categories",
        "ilad_category",
        "ilmd_category",
        "overlap",
        "beta_divergence",
        "calibration_kl",
        "calibration_js",
        "alpha_ndcg",
        "subtopic_recall",
    }
)
_NEITHER = frozenset(
    {
        "recall",
        "precision",
        "hit_rate",
        "ndcg",
        "mrr",
        "map",
        "auc",
        "auc_pooled",
        "popularity",
        "average_popularity",
        "long_tail",
        "coverage",
        "gini",
        "effective_coverage",
    }
)


def measured_with(metric: str) -> frozenset[str]:
    """The rulers that a metric ("ilad@10") reads; eild reads both, and one that is none of ours may do so."""
    name = metric.partition("@")[0]
    if name in _NEITHER:
        return frozenset()
    if name in _TEXT:
        return frozenset({VECTORS})
    return frozenset({CATEGORIES}) if name in _CATEGORY else frozenset(RULERS)


def differing_rulers(records: Sequence[RunRecord]) -> frozenset[str]:
    """The rulers in which some of the records differ."""
    return frozenset(ruler for ruler in RULERS if len({_hash(each, ruler) for each in records} - {None}) > 1)


def _hash(record: RunRecord, ruler: str) -> str | None:
    found = record.data.get(RULER)
    return None if not isinstance(found, dict) or ruler not in found else str(found[ruler])
