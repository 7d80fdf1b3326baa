"""Where logs come from: one reader a source, all with the interface `Source`."""

from divrec.data.sources.amazon import Amazon
from divrec.data.sources.amazon_sequences import AmazonSequences
from divrec.data.sources.completejourney import CompleteJourney
from divrec.data.sources.files import Files
from divrec.data.sources.huggingface import HuggingFace
from divrec.data.sources.movielens import MovieLens
from divrec.data.sources.source import RawLog, Rule, Source
from divrec.data.sources.synthetic import Synthetic, World
from divrec.data.sources.uci_online_retail import UCIOnlineRetail

__all__ = [
    "Amazon",
    "AmazonSequences",
    "CompleteJourney",
    "Files",
    "HuggingFace",
    "MovieLens",
    "RawLog",
    "Rule",
    "Source",
    "Synthetic",
    "UCIOnlineRetail",
    "World",
]
