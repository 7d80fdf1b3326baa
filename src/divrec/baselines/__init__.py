"""What a sceptic would try first: recommenders that learn no parameters, with a recommender's interface."""

from divrec.baselines.base import Baseline
from divrec.baselines.item_knn import ItemKNN
from divrec.baselines.popular import Popular
from divrec.baselines.random import Random

__all__ = ["Baseline", "ItemKNN", "Popular", "Random"]
