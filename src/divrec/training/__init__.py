"""Drives model, objective and data under a Lightning Trainer."""

from divrec.training.candidate_auc import AUC_OF_CANDIDATES, CandidateAUC, candidate_auc
from divrec.training.checkpoint import CHECKPOINT_FOLDER, TrainingCheckpoint
from divrec.training.compilation import compile_in_place
from divrec.training.curve import TrainingCurve
from divrec.training.fit import Fitted, fit, leads
from divrec.training.module import RecommenderModule
from divrec.training.optimizer import GroupedOptimizer, belongs_to_plm
from divrec.training.schedule import Schedule
from divrec.training.sharding import ShardedStrategy, shard
from divrec.training.weights import load_weights, save_weights

__all__ = [
    "AUC_OF_CANDIDATES",
    "CHECKPOINT_FOLDER",
    "CandidateAUC",
    "Fitted",
    "GroupedOptimizer",
    "RecommenderModule",
    "Schedule",
    "ShardedStrategy",
    "TrainingCheckpoint",
    "TrainingCurve",
    "belongs_to_plm",
    "candidate_auc",
    "compile_in_place",
    "fit",
    "leads",
    "load_weights",
    "save_weights",
    "shard",
]
