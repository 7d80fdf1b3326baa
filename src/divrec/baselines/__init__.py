"""What a sceptic would try first: recommenders that learn no parameters, with a recommender's interface."""

from divrec.baselines.base import Baseline
from divrec.baselines.ease import EASE
from divrec.baselines.epsilon_random import EpsilonRandom
from divrec.baselines.item_knn import ItemKNN
from divrec.baselines.popular import Popular
from divrec.baselines.random import Random
from divrec.baselines.semantic_knn import SemanticKNN

__all__ = ["EASE", "Baseline", "EpsilonRandom", "ItemKNN", "Popular", "Random", "SemanticKNN"]
