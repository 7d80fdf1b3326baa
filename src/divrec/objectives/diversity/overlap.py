"""Overlap of slate and history (history level).

Shapes: B rows, N items, M candidates, S touched items.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from divrec.batch import Batch, Catalogue, SoftSlate
from divrec.errors import ConfigError
from divrec.measures import overlap
from divrec.objectives.diversity.regularizer import Regularizer


class GiniOverlap(Regularizer):
    """The founding document's "Gini coefficient": Sorensen-Dice overlap of slate and history (history level).

    Minimizing it moves the slate away from the history.

    Args:
        catalogue: the frozen catalogue.
        weight: multiplies this term.
        space: `category` compares category shares; `item` is the document's letter, item by item.
        exclude_seen: whether seen items are kept out of the slates. With `space: item` they are then all that could
            overlap, so the penalty is 0 with no gradient, and the combination is refused.

    Raises:
        ConfigError: for an unknown space, and for `space: item` with `exclude_seen`.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        weight: float = 1.0,
        space: Literal["category", "item"] = "category",
        exclude_seen: bool = True,
    ) -> None:
        super().__init__(catalogue, weight)
        if space not in ("category", "item"):
            raise ConfigError(
                "no such space", where="diversity.gini_overlap.space", got=space, mend="Use category or item."
            )
        if space == "item" and exclude_seen:
            raise ConfigError(
                "has no gradient when seen items are excluded: slate and history share no item",
                where="diversity.gini_overlap.space",
                got=space,
                mend="Use space=category, or exclude_seen=false for shops that recommend bought products again.",
            )
        self.space = space

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Mean overlap over the rows."""
        if self.space == "category":
            return overlap(self.slate_share(slate), self.history_share(slate, batch)).mean()
        rows, size = slate.items_BM.shape[0], self.categories_NJ.shape[0]
        dense_BN = slate.weights_BM.new_zeros(rows, size).scatter_add(1, slate.items_BM, slate.weights_BM)
        history_BN = slate.weights_BM.new_zeros(rows, size + 1)
        history_BN = history_BN.scatter(1, batch.seen_QS[:rows], batch.history_QS[:rows].to(history_BN.dtype))
        return overlap(dense_BN, history_BN[:, :size]).mean()
