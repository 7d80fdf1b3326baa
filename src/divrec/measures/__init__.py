"""THE formulas: pure functions on tensors, one value a row, exact and unscaled. Objectives and metrics both call them.

Undefined values (an empty list, no target) are NaN: the caller leaves them out of its mean and counts them.
"""

from divrec.measures.accuracy import auc, average_precision, hit_rate, mrr, ndcg, pairs_won_twice, precision, recall
from divrec.measures.catalogue import (
    HEAD,
    MID,
    NEW,
    POPULARITY_CLASSES,
    TAIL,
    coverage,
    effective_coverage,
    gini_index,
    popularity_class,
    popularity_weight,
)
from divrec.measures.histories import (
    beta_divergence,
    beta_divergence_terms,
    calibration_kl,
    jensen_shannon,
    overlap,
    profile_distance,
    unexpectedness,
)
from divrec.measures.intents import (
    alpha_ndcg,
    expected_intra_list_distance,
    intent_relevance,
    serendipity,
    subtopic_recall,
)
from divrec.measures.lists import (
    average_distance,
    category_distances,
    distance_summary,
    distinct_categories,
    entropy,
    intra_list_similarity,
    minimum_distance,
    simpson,
    vendi_score,
)
from divrec.measures.shares import category_share

__all__ = [
    "HEAD",
    "MID",
    "NEW",
    "POPULARITY_CLASSES",
    "TAIL",
    "alpha_ndcg",
    "auc",
    "average_distance",
    "average_precision",
    "beta_divergence",
    "beta_divergence_terms",
    "calibration_kl",
    "category_distances",
    "category_share",
    "coverage",
    "distance_summary",
    "distinct_categories",
    "effective_coverage",
    "entropy",
    "expected_intra_list_distance",
    "gini_index",
    "hit_rate",
    "intent_relevance",
    "intra_list_similarity",
    "jensen_shannon",
    "minimum_distance",
    "mrr",
    "ndcg",
    "overlap",
    "pairs_won_twice",
    "popularity_class",
    "popularity_weight",
    "precision",
    "profile_distance",
    "recall",
    "serendipity",
    "simpson",
    "subtopic_recall",
    "unexpectedness",
    "vendi_score",
]
