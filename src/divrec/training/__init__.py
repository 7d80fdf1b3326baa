"""Drives model, objective and data under a Lightning Trainer."""

from divrec.training.fit import fit, load_weights, save_weights
from divrec.training.module import RecommenderModule
from divrec.training.schedule import Schedule

__all__ = ["RecommenderModule", "Schedule", "fit", "load_weights", "save_weights"]
