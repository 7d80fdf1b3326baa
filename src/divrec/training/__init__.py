"""Drives model, objective and data under a Lightning Trainer."""

from divrec.training.candidate_auc import AUC_OF_CANDIDATES, CandidateAUC, candidate_auc
from divrec.training.fit import fit, load_weights, save_weights
from divrec.training.module import RecommenderModule
from divrec.training.schedule import Schedule

__all__ = [
    "AUC_OF_CANDIDATES",
    "CandidateAUC",
    "RecommenderModule",
    "Schedule",
    "candidate_auc",
    "fit",
    "load_weights",
    "save_weights",
]
