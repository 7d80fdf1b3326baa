"""Categories of a pool's candidates, and what the users' histories say of them.

Shapes: B users, M candidates, J categories an item, C categories.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from divrec import measures
from divrec.rerank.strategy import Pool


@dataclass(frozen=True)
class PoolCategories:
    """Rows of the item-category matrix A of the candidates, sparse.

    Attributes:
        categories_BMJ: category indices, padded with 0 where the weight is 0.
        weights_BMJ: rows sum to 1 (0 for an item without any category).
    """

    categories_BMJ: Tensor
    weights_BMJ: Tensor

    @classmethod
    def of(cls, pool: Pool, dtype: torch.dtype) -> PoolCategories:
        """Look the candidates up."""
        items_BM = pool.looked_up()
        return cls(pool.catalogue.categories_NJ[items_BM], pool.catalogue.category_weights_NJ[items_BM].to(dtype))

    def look_up(self, values_BC: Tensor) -> Tensor:
        """Values of the candidates' categories, (B, M, J)."""
        return values_BC.gather(1, self.categories_BMJ.flatten(1)).view(self.categories_BMJ.shape)

    def weighted(self, values_BC: Tensor) -> Tensor:
        """Sum over the candidates' categories of weight * value, (B, M)."""
        return (self.weights_BMJ * self.look_up(values_BC)).sum(-1)

    def at(self, place_B: Tensor) -> tuple[Tensor, Tensor]:
        """Categories and weights (B, J) of one candidate of each user."""
        users = torch.arange(place_B.shape[0], device=place_B.device)
        return self.categories_BMJ[users, place_B], self.weights_BMJ[users, place_B]

    def unit(self) -> PoolCategories:
        """The same with rows of A scaled to length 1, whose inner products are cosines."""
        length_BM1 = self.weights_BMJ.square().sum(-1, keepdim=True).sqrt()
        return PoolCategories(self.categories_BMJ, self.weights_BMJ / length_BM1.masked_fill(length_BM1 == 0, 1))


def history_share(pool: Pool, dtype: torch.dtype) -> Tensor:
    """Category shares q^h of the users' histories, (B, C); an empty history counts as uniform."""
    catalogue, audience = pool.catalogue, pool.audience
    assert audience is not None  # the strategy's door has seen to it
    touched_BS = audience.seen_BS.clamp(max=catalogue.size - 1)  # padding has weight 0
    return measures.category_share(
        audience.history_BS.to(dtype),
        catalogue.categories_NJ[touched_BS],
        catalogue.category_weights_NJ[touched_BS],
        catalogue.category_count,
    )
