"""The data room: from a behavior log to batches."""

from divrec.data.build import PreparedData, fingerprint, load, prepare
from divrec.data.collate import Collation
from divrec.data.datamodule import BehaviorDataModule
from divrec.data.histories import Histories, read_histories
from divrec.data.preparation import Preparation
from divrec.data.sources import CompleteJourney, RawLog, Rule, Source
from divrec.data.split import GlobalTime, Split, Windows
from divrec.data.steps import EvaluationSteps, TrainingSteps
from divrec.data.synthetic import Synthetic, World
from divrec.data.validate import Admitted, admit

__all__ = [
    "Admitted",
    "BehaviorDataModule",
    "Collation",
    "CompleteJourney",
    "EvaluationSteps",
    "GlobalTime",
    "Histories",
    "Preparation",
    "PreparedData",
    "RawLog",
    "Rule",
    "Source",
    "Split",
    "Synthetic",
    "TrainingSteps",
    "Windows",
    "World",
    "admit",
    "fingerprint",
    "load",
    "prepare",
    "read_histories",
]
