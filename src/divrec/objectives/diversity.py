"""Diversity regularizers R: penalties near [0, 1], lower is more diverse, never clamped (DESIGN section 8).

Each class builds the inputs of a formula of `divrec.measures` from a soft slate and the frozen catalogue, and scales.
Shapes: B rows, N items, M candidates, C categories, S touched items.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, distributed, nn

from divrec.batch import Batch, Catalogue, SoftSlate
from divrec.errors import ConfigError, check_number
from divrec.measures import beta_divergence, beta_divergence_terms, category_share, gini_index, overlap

_MIX = 0.01  # share of the uniform distribution mixed into both sides of a divergence, so that its maximum is finite
_REFERENCE_BATCH = 256  # rows that the exposure memory's rate is stated for


class Regularizer(nn.Module):
    """Base of all regularizers.

    Args:
        catalogue: what is known of the items before training.
        weight: multiplies this term beside others.
    """

    categories_NJ: Tensor
    category_weights_NJ: Tensor

    def __init__(self, catalogue: Catalogue, weight: float = 1.0) -> None:
        super().__init__()
        if weight < 0:
            raise ConfigError("a regularizer's weight is at least 0", where="diversity.*.weight", got=weight)
        self.weight = weight
        self.category_count = catalogue.category_count
        self.register_buffer("categories_NJ", catalogue.categories_NJ, persistent=False)
        self.register_buffer("category_weights_NJ", catalogue.category_weights_NJ, persistent=False)

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """The penalty, a scalar; `slate` belongs to the batch's leading queries, one a user."""
        raise NotImplementedError

    def slate_share(self, slate: SoftSlate) -> Tensor:
        """Category shares q of the soft slates, (B, C)."""
        return self._share(slate.items_BM, slate.weights_BM)

    def history_share(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Category shares q^h of the histories, (B, C); an empty history is uniform."""
        rows = slate.items_BM.shape[0]
        items_BS = batch.seen_QS[:rows].clamp(max=self.categories_NJ.shape[0] - 1)  # padding has weight 0
        return self._share(items_BS, batch.history_QS[:rows])

    def _share(self, items_BM: Tensor, weights_BM: Tensor) -> Tensor:
        return category_share(
            weights_BM, self.categories_NJ[items_BM], self.category_weights_NJ[items_BM], self.category_count
        )


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


class Simpson(Regularizer):
    """Simpson's concentration of the slate over categories, without self-pairs (list level).

    sum_{i != j} m_i m_j (A A')_ij / sum_{i != j} m_i m_j: the chance that two different places show one category.
    Self-pairs are left out because with them the penalty falls when m merely softens.
    """

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Mean over the rows."""
        total_B = slate.weights_BM.sum(-1)
        squared_BM = slate.weights_BM.square()
        together_B = (self.slate_share(slate) * total_B.unsqueeze(-1)).square().sum(-1)
        own_BM = squared_BM * self.category_weights_NJ[slate.items_BM].square().sum(-1)
        pairs_B = total_B.square() - squared_BM.sum(-1)
        return ((together_B - own_BM.sum(-1)) / pairs_B).mean()


class BetaDivergence(Regularizer):
    """Beta-divergence between the slate's category shares and a reference, over its maximum (history or list level).

    Args:
        catalogue: the frozen catalogue.
        weight: multiplies this term.
        order: of the divergence (2 Euclidean, 1 Kullback-Leibler, 0 Itakura-Saito); not the trade-off weight beta.
        reference: `history` of the user, `uniform`, or the `catalogue`'s shares.
        direction: `toward` penalizes D / D_max (slates approach the reference), `away` penalizes 1 - D / D_max.
    """

    catalogue_share_C: Tensor

    def __init__(
        self,
        catalogue: Catalogue,
        weight: float = 1.0,
        order: float = 0.5,
        reference: Literal["history", "uniform", "catalogue"] = "history",
        direction: Literal["toward", "away"] = "toward",
    ) -> None:
        super().__init__(catalogue, weight)
        if reference not in ("history", "uniform", "catalogue"):
            raise ConfigError(
                "no such reference",
                where="diversity.beta_divergence.reference",
                got=reference,
                mend="Use history, uniform or catalogue.",
            )
        check_number("diversity.beta_divergence.order", order)
        if direction not in ("toward", "away"):
            raise ConfigError(
                "no such direction",
                where="diversity.beta_divergence.direction",
                got=direction,
                mend="Use toward or away.",
            )
        self.order, self.reference, self.direction = order, reference, direction
        everything_1N = torch.arange(catalogue.size, device=catalogue.categories_NJ.device).unsqueeze(0)
        ones_1N = torch.ones_like(everything_1N, dtype=catalogue.category_weights_NJ.dtype)
        self.register_buffer("catalogue_share_C", self._share(everything_1N, ones_1N)[0], persistent=False)

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Mean over the rows."""
        reference_BC = self._mixed(self._reference_share(slate, batch))
        divergence_B = beta_divergence(self._mixed(self.slate_share(slate)), reference_BC, self.order)
        # With a single category nothing can diverge: 0 / 0 without the floor.
        scaled_B = divergence_B / self._largest(reference_BC).clamp(min=torch.finfo(divergence_B.dtype).eps)
        return scaled_B.mean() if self.direction == "toward" else (1 - scaled_B).mean()

    def _reference_share(self, slate: SoftSlate, batch: Batch) -> Tensor:
        if self.reference == "history":
            return self.history_share(slate, batch)
        shape = slate.items_BM.shape[0], self.category_count
        if self.reference == "uniform":
            return slate.weights_BM.new_full(shape, 1 / self.category_count)
        return self.catalogue_share_C.to(slate.weights_BM.dtype).expand(shape)

    def _mixed(self, share_BC: Tensor) -> Tensor:
        return (1 - _MIX) * share_BC + _MIX / self.category_count

    def _largest(self, reference_BC: Tensor) -> Tensor:
        """The largest divergence from each reference: it is convex in p, so a slate of one category attains it."""
        low = torch.full_like(reference_BC, _MIX / self.category_count)
        floor_BC = beta_divergence_terms(low, reference_BC, self.order)
        peak_BC = beta_divergence_terms(low + 1 - _MIX, reference_BC, self.order)
        return floor_BC.sum(-1) + (peak_BC - floor_BC).max(-1).values


class ExposureGini(Regularizer):
    """Gini index of how often each item is shown, over users (catalogue level).

    One batch says nothing (256 users can never look equal over thousands of items), so the value is that of an exposure
    memory: an exponential average of sum_u m_ui / B. Differentiating through the average would shrink the gradient by
    1 - rate; instead the gradient is straight-through: item i costs price_i = (2 rank_i - N - 1) / N, its weight in the
    Gini index of the memory, applied to m / k. Ranks are taken anew at each step.

    Args:
        catalogue: the frozen catalogue.
        weight: multiplies this term.
        rate: of the memory, for each batch of 256 users; nearer 1 remembers longer.
    """

    memory_N: Tensor

    def __init__(self, catalogue: Catalogue, weight: float = 1.0, rate: float = 0.98) -> None:
        super().__init__(catalogue, weight)
        if not 0 <= rate < 1:
            raise ConfigError("must lie in [0, 1)", where="diversity.gini.rate", got=rate)
        self.rate = rate
        self.register_buffer("memory_N", torch.zeros(catalogue.size))

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Gini index of the memory, with the gradient of the prices."""
        if self.training:
            self._remember(slate)
        size = self.memory_N.shape[0]
        ranks_N = self.memory_N.argsort().argsort() + 1
        price_N = (2 * ranks_N - size - 1).to(slate.weights_BM.dtype) / size
        cost = (price_N[slate.items_BM] * slate.weights_BM).sum(-1).mean() / slate.k
        return gini_index(self.memory_N) + cost - cost.detach()

    @torch.no_grad()
    def _remember(self, slate: SoftSlate) -> None:
        shown_N = torch.zeros_like(self.memory_N)
        shown_N.index_add_(0, slate.items_BM.flatten(), slate.weights_BM.detach().flatten().to(shown_N.dtype))
        rows = torch.tensor(float(slate.items_BM.shape[0]), device=shown_N.device)
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(shown_N)
            distributed.all_reduce(rows)
        users = float(rows)
        keep = self.rate ** (users / _REFERENCE_BATCH)
        self.memory_N.mul_(keep).add_(shown_N, alpha=(1 - keep) / users)
