"""What of each candidate the chosen items do not span: greedy Cholesky factors, or Gram-Schmidt in a window.

Shapes: B users, M candidates, W window.
"""

from __future__ import annotations

import torch
from torch import Tensor

from divrec.rerank.greedy import products, row_of


class Residual:
    """Squared length of each candidate's factor E_i (S = E E') beyond the span of the last `window` choices.

    For a window of at least k that is the Schur complement det S_{chosen + i} / det S_{chosen} (Chen et al. 2018). In
    a smaller window the oldest direction is given back when it falls out (Huang et al. 2021), without making the
    others orthogonal anew.

    Attributes:
        value_BM: squared lengths in [0, 1]; 1 before the first choice.
    """

    def __init__(self, vectors_BMD: Tensor, like_BM: Tensor, window: int) -> None:
        self._vectors_BMD = vectors_BMD
        users, candidates = like_BM.shape
        self._coefficients_BWM = like_BM.new_zeros(users, window, candidates)
        self._slot, self._used = 0, 0
        self.value_BM = torch.ones_like(like_BM)

    def add(self, chosen_B: Tensor) -> None:
        """Project the chosen items' directions out of all candidates."""
        near_BM = products(self._vectors_BMD, row_of(self._vectors_BMD, chosen_B)).add_(1).div_(2)
        near_BM = near_BM.to(self.value_BM.dtype)
        if self._used:
            known_BWM = self._coefficients_BWM[:, : self._used]
            near_BM -= products(known_BWM.transpose(1, 2), row_of(known_BWM.transpose(1, 2), chosen_B))
        own_B1 = self.value_BM.gather(1, chosen_B.unsqueeze(-1))
        near_BM /= own_B1.clamp_(min=torch.finfo(near_BM.dtype).eps).sqrt_()
        self.value_BM.addcmul_(near_BM, near_BM, value=-1)
        if self._used == self._coefficients_BWM.shape[1]:
            oldest_BM = self._coefficients_BWM[:, self._slot]
            self.value_BM.addcmul_(oldest_BM, oldest_BM)
        self.value_BM.clamp_(min=0)
        self._coefficients_BWM[:, self._slot] = near_BM
        self._used = max(self._used, self._slot + 1)
        self._slot = (self._slot + 1) % self._coefficients_BWM.shape[1]
