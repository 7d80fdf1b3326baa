"""What the evaluation expects of a re-ranker."""

from typing import Protocol

from divrec.batch import Catalogue, Ranking, Slate


class Reranker(Protocol):
    """A strategy that chooses the delivered list from the top of a ranking.

    Attributes:
        name: the strategy's name, as in `conf/rerank`.
        diversity: its one knob in [0, 1]: 0 = the ranking as it came, 1 = as diverse as the strategy can.
    """

    @property
    def name(self) -> str:
        """The strategy's name."""

    @property
    def diversity(self) -> float:
        """The knob in [0, 1]."""

    def __call__(self, ranking: Ranking, catalogue: Catalogue, k: int) -> Slate:
        """The delivered lists, each of k places."""
