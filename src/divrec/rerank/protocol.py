"""What the evaluation expects of a re-ranker, and what it tells one about the users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from divrec.batch import Catalogue, Ranking, Slate


@dataclass(frozen=True)
class Audience:
    """Who the lists are for; rows as in the ranking.

    Attributes:
        users_B: user index of each row: what random strategies draw by, so that batches do not matter.
        seen_BS: items of each user's history, padded with N.
        history_BS: their weights in [0, 1]; 0 is padding.
    """

    users_B: Tensor
    seen_BS: Tensor
    history_BS: Tensor

    def rows(self, part: slice) -> Audience:
        """The same of some rows."""
        return Audience(self.users_B[part], self.seen_BS[part], self.history_BS[part])


class Reranker(Protocol):
    """A strategy that chooses the delivered list from the top of a ranking.

    Attributes:
        name: the strategy's name, as in `conf/rerank`.
        diversity: its one knob in [0, 1]: 0 = the ranking as it came, 1 = as diverse as the strategy can.
        parameters: all that it was built with, the knob among them, as JSON can hold it.
        label: the name with all that sets it apart from the strategy with its defaults, but for the knob.
    """

    @property
    def name(self) -> str:
        """The strategy's name."""

    @property
    def diversity(self) -> float:
        """The knob in [0, 1]."""

    @property
    def parameters(self) -> dict[str, Any]:
        """All that it was built with, by argument."""

    @property
    def label(self) -> str:
        """The name with all that is not the default."""

    def start(self) -> None:
        """Forget the users so far; called before the first batch of a split. Most strategies remember nothing."""

    def __call__(self, ranking: Ranking, catalogue: Catalogue, k: int, audience: Audience | None = None) -> Slate:
        """The delivered lists, each of k places."""
