"""What every regularizer is, and what it can ask of a soft slate.

Shapes: B rows, M candidates, C categories, S touched items, D dimension.
"""

from __future__ import annotations

from torch import Tensor, nn

from divrec.batch import Batch, Catalogue, SoftSlate
from divrec.errors import ConfigError, check_number
from divrec.measures import category_share


class Regularizer(nn.Module):
    """Base of all regularizers: a penalty on soft slates, lower is more diverse.

    Args:
        catalogue: what is known of the items before training.
        weight: multiplies this term beside others, at least 0.

    Raises:
        ConfigError: for a weight that is no such number.
    """

    categories_NJ: Tensor
    category_weights_NJ: Tensor

    def __init__(self, catalogue: Catalogue, weight: float = 1.0) -> None:
        super().__init__()
        check_number("diversity.*.weight", weight, least=0)
        self.weight = weight
        self.category_count = catalogue.category_count
        self.register_buffer("categories_NJ", catalogue.categories_NJ, persistent=False)
        self.register_buffer("category_weights_NJ", catalogue.category_weights_NJ, persistent=False)

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """The penalty, a scalar; `slate` belongs to the batch's leading queries, one a user."""
        raise NotImplementedError

    def slate_share(self, slate: SoftSlate) -> Tensor:
        """Category shares q of the soft slates, (B, C)."""
        return self.share(slate.items_BM, slate.weights_BM)

    def history_share(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Category shares q^h of the histories, (B, C); an empty history is uniform."""
        rows = slate.items_BM.shape[0]
        items_BS = batch.seen_QS[:rows].clamp(max=self.categories_NJ.shape[0] - 1)  # padding has weight 0
        return self.share(items_BS, batch.history_QS[:rows].to(slate.weights_BM.dtype))

    def share(self, items_BM: Tensor, weights_BM: Tensor) -> Tensor:
        """Category shares of weighted lists of items, (B, C)."""
        return category_share(
            weights_BM, self.categories_NJ[items_BM], self.category_weights_NJ[items_BM], self.category_count
        )


def rows_with_pairs(slate: SoftSlate) -> SoftSlate:
    """The rows that have two candidates at least: others have no pair to speak of.

    Raises:
        ConfigError: for slates of one item.
    """
    if slate.k < 2:
        raise ConfigError(
            "a list of one item has no pairs, so this regularizer has nothing to act on",
            where="k",
            got=slate.k,
            mend="Deliver at least two items, or use a regularizer of the catalogue level such as gini.",
        )
    enough_B = slate.valid_BM.sum(-1) >= 2
    if bool(enough_B.all()):
        return slate
    return SoftSlate(slate.items_BM[enough_B], slate.weights_BM[enough_B], slate.valid_BM[enough_B], slate.k)


def mean_of_rows(value_B: Tensor) -> Tensor:
    """The mean; of no row at all: 0, without a gradient to speak of."""
    return value_B.sum() / max(len(value_B), 1)
