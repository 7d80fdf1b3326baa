"""The data room: from a behavior log to batches."""

from divrec.data.build import PreparedData, Resources, fingerprint, load, prepare
from divrec.data.card import CARD_FILE, Card, make_card, write_card
from divrec.data.categories import CategoryPath
from divrec.data.collate import Collation
from divrec.data.datamodule import BehaviorDataModule
from divrec.data.histories import Histories, read_histories
from divrec.data.preparation import Preparation
from divrec.data.privacy import Privacy
from divrec.data.sampling import CandidateSampler, Sampling
from divrec.data.sources import (
    Amazon,
    AmazonSequences,
    CompleteJourney,
    Files,
    HuggingFace,
    MovieLens,
    RawLog,
    Rule,
    Source,
    Synthetic,
    UCIOnlineRetail,
    World,
)
from divrec.data.split import ColdItem, GlobalTime, Split, Windows
from divrec.data.steps import EvaluationSteps, TrainingSteps
from divrec.data.text import ProfileText, TextTemplate
from divrec.data.user_profiles import ProfileCuts, Profiles, UserProfiles
from divrec.data.user_splits import ItemHoldout, LeaveOneOut, UserHoldout
from divrec.data.validate import Admitted, admit
from divrec.data.validation import Validation

__all__ = [
    "Admitted",
    "Amazon",
    "AmazonSequences",
    "BehaviorDataModule",
    "CARD_FILE",
    "CandidateSampler",
    "Card",
    "CategoryPath",
    "ColdItem",
    "Collation",
    "CompleteJourney",
    "EvaluationSteps",
    "Files",
    "GlobalTime",
    "Histories",
    "HuggingFace",
    "ItemHoldout",
    "LeaveOneOut",
    "MovieLens",
    "Preparation",
    "PreparedData",
    "Privacy",
    "ProfileCuts",
    "ProfileText",
    "Profiles",
    "RawLog",
    "Resources",
    "Rule",
    "Sampling",
    "Source",
    "Split",
    "Synthetic",
    "TextTemplate",
    "TrainingSteps",
    "UCIOnlineRetail",
    "UserHoldout",
    "UserProfiles",
    "Validation",
    "Windows",
    "World",
    "admit",
    "fingerprint",
    "load",
    "make_card",
    "prepare",
    "read_histories",
    "write_card",
]
