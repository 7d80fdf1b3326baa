"""What all re-rankers share: the door, the pool of candidates, chunks of users, the delivered list.

Shapes: B users, M candidates, K delivered items, D dimension.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor

from divrec.batch import Catalogue, Ranking, Slate
from divrec.errors import ConfigError, check_number
from divrec.ranking import deliver
from divrec.rerank.protocol import Audience
from divrec.rerank.relevance import Relevance, relevance_of

_CHUNK = 2**21  # numbers held at once (users x candidates x dimension): what stays in a core's cache is fast


@dataclass(frozen=True)
class Pool:
    """The candidates of some users.

    Attributes:
        items_BM: best first; -1 is padding.
        scores_BM: their scores; -inf at padding, and legal elsewhere.
        catalogue: what is known of the items.
        audience: who the lists are for, where the caller told.
    """

    items_BM: Tensor
    scores_BM: Tensor
    catalogue: Catalogue
    audience: Audience | None

    def looked_up(self) -> Tensor:
        """The items with padding replaced by item 0, ready to look things up."""
        return self.items_BM.clamp(min=0)


class PoolStrategy(ABC):
    """Chooses k items out of a pool of the best ranked ones.

    Every strategy weighs (1 - diversity) * relevance against diversity * something of its own. Equal gains go to the
    better ranked item. Candidates scored -inf come after all others, in the order of the ranking. Records tell all
    parameters, so a strategy keeps each argument of its constructor as an attribute of the same name.

    Args:
        diversity: 0 = the ranking as it came, exactly; 1 = the scores count no more (but for the first item, where a
            strategy says so).
        relevance: "zscore" = score less its mean over the user's pool, in standard deviations, which makes the knob
            independent of the scores' scale; "probability" = softmax of the scores over the pool.
        pool: number of best ranked items that can be chosen.

    Raises:
        ConfigError: an argument is out of its range; at the call, `k` is above the pool or the ranking's length, or a
            strategy that reads histories is not told them.
    """

    name: str
    reads_history: ClassVar[bool] = False
    named_by: ClassVar[tuple[str, ...]] = ("diversity",)  # arguments that the name of a point tells anyway

    def __init__(self, diversity: float, relevance: Relevance = "zscore", pool: int = 100) -> None:
        if not 0 <= diversity <= 1:
            raise ConfigError("diversity lies in [0, 1]", where=f"rerank.{self.name}.diversity", got=diversity)
        if relevance not in get_args(Relevance):
            options = " or ".join(get_args(Relevance))
            raise ConfigError(f"relevance is {options}", where=f"rerank.{self.name}.relevance", got=relevance)
        check_number(f"rerank.{self.name}.pool", pool, least=1, whole=True)
        self.diversity = float(diversity)
        self.relevance: Relevance = relevance
        self.pool = pool

    @property
    def parameters(self) -> dict[str, Any]:
        """All arguments of the constructor, each of which is an attribute of its name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @property
    def label(self) -> str:
        """The name, and each argument that is not the default, so that several can be compared: "mmr_pool150"."""
        given = inspect.signature(type(self)).parameters
        others = {name: value for name, value in self.parameters.items() if name not in self.named_by}
        told = [_told(name, value) for name, value in others.items() if value != given[name].default]
        return "_".join([self.name, *told])

    def start(self) -> None:  # noqa: B027 - most strategies remember nothing
        """Forget the users so far."""

    @torch.no_grad()
    def __call__(self, ranking: Ranking, catalogue: Catalogue, k: int, audience: Audience | None = None) -> Slate:
        """Re-rank the pool of every user.

        Args:
            ranking: at least k places a user; -1 is padding.
            catalogue: what is known of the items.
            k: length of the delivered lists.
            audience: who the lists are for; needed by strategies that read histories.

        Returns:
            the lists with the model's own scores, padded with -1 where a user has fewer than k candidates.
        """
        if k > self.pool:
            raise ConfigError(
                f"the pool of {self.pool} is smaller than the list",
                where="k",
                got=k,
                mend=f"Raise rerank.{self.name}.pool",
            )
        if self.reads_history and audience is None:
            raise ConfigError("reads the users' histories and got none", where=f"rerank.{self.name}")
        as_ranked = deliver(ranking, k)
        if self.diversity == 0:
            return as_ranked
        items_BM, scores_BM = ranking.items_BM[:, : self.pool], ranking.scores_BM[:, : self.pool]
        rows = max(1, _CHUNK // (items_BM.shape[1] * catalogue.vectors_ND.shape[1]))
        chosen_BK = torch.cat(
            [
                self._choose(
                    Pool(items_BM[part], scores_BM[part], catalogue, audience and audience.rows(part)),
                    k,
                )
                for part in (slice(at, at + rows) for at in range(0, max(1, items_BM.shape[0]), rows))
            ]
        )
        picked_BK = items_BM.gather(1, chosen_BK)
        return Slate(picked_BK, scores_BM.gather(1, chosen_BK).masked_fill(picked_BK < 0, -torch.inf))

    @abstractmethod
    def _choose(self, pool: Pool, k: int) -> Tensor:
        """Places in the pool of the k chosen items, (B, k), in the order of choice; padding is chosen last."""

    def _base(self, pool: Pool) -> Tensor:
        """(1 - diversity) * relevance, (B, M); candidates at -inf and padding lie so low that no bonus lifts them."""
        base_BM = relevance_of(pool.scores_BM, self.relevance).mul_(1 - self.diversity)
        lowest = torch.finfo(base_BM.dtype).min
        base_BM.masked_fill_(pool.scores_BM == -torch.inf, lowest / 2)
        return base_BM.masked_fill_(pool.items_BM < 0, lowest)


def _told(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    return f"{name}{value:g}" if isinstance(value, float) else f"{name}{value}"
