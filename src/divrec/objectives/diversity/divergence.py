"""Category shares of the slate against those of a reference (history or list level).

Shapes: B rows, N items, M candidates, C categories.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from divrec.batch import Batch, Catalogue, SoftSlate
from divrec.errors import ConfigError, check_number
from divrec.measures import beta_divergence, beta_divergence_terms, calibration_kl
from divrec.objectives.diversity.regularizer import Regularizer

_MIX = 0.01  # share of another distribution mixed in, so that a divergence has a finite maximum


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
        self.register_buffer("catalogue_share_C", self.share(everything_1N, ones_1N)[0], persistent=False)

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


class Calibration(Regularizer):
    """Miscalibration (Steck 2018): KL(q^h, .99 q + .01 q^h) over its maximum -log .01 (history level).

    0 = the slate has the history's proportions, 1 = it holds nothing of what the history is made of. A control: it
    pulls towards what the user did before, be that diverse or not. An empty history counts as uniform.
    """

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Mean over the rows."""
        divergence_B = calibration_kl(self.history_share(slate, batch), self.slate_share(slate), _MIX)
        return divergence_B.mean() / -math.log(_MIX)
