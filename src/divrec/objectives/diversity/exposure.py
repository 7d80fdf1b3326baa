"""How evenly the catalogue is shown over users (catalogue level), read from a memory of past batches.

Shapes: B rows, N items, M candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn

from divrec.batch import Batch, Catalogue, SoftSlate
from divrec.errors import ConfigError, check_number
from divrec.measures import gini_index, gini_price, unseen_share
from divrec.objectives.diversity.regularizer import Regularizer

_REFERENCE_BATCH = 256  # rows that the memory's rate is stated for


class ExposureMemory(nn.Module):
    """How often each item is shown to a user: an exponential average of sum_u m_ui / B over batches.

    One batch is a biased sample: 256 users can never look equal over thousands of items. Its state belongs to the
    checkpoint. Several processes sum their users, so that the memory is the same in all of them.

    Args:
        size: number of items N.
        rate: what is kept of it for each 256 users; 0 = the last batch alone, nearer 1 remembers longer.

    Raises:
        ConfigError: for a rate outside [0, 1).
    """

    average_N: Tensor
    filled: Tensor

    def __init__(self, size: int, rate: float = 0.98) -> None:
        super().__init__()
        check_number("diversity.*.rate", rate, least=0)
        if rate >= 1:
            raise ConfigError("must be below 1, or nothing is remembered", where="diversity.*.rate", got=rate)
        self.rate = rate
        self.register_buffer("average_N", torch.zeros(size))
        self.register_buffer("filled", torch.zeros(()))  # part of the average's weight that batches have taken so far

    def exposure(self) -> Tensor:
        """Exposures a user (N,), summing to k; all 0 before the first batch."""
        return self.average_N / self.filled.clamp(min=torch.finfo(self.filled.dtype).tiny)

    @torch.no_grad()
    def update(self, slate: SoftSlate) -> Tensor:
        """Take a batch of slates in.

        Returns:
            scalar: users a process, on average; the slates' mean over it is one over the users of all processes.
        """
        size = self.average_N.shape[0]
        sums = self.average_N.new_zeros(size + 1)
        sums.index_add_(0, slate.items_BM.flatten(), slate.weights_BM.flatten().to(sums.dtype))
        sums[size] = slate.items_BM.shape[0]
        processes = 1
        if distributed.is_available() and distributed.is_initialized():
            distributed.all_reduce(sums)
            processes = distributed.get_world_size()
        users = sums[size]
        taken = 1 - self.rate ** (users / _REFERENCE_BATCH)
        self.average_N.lerp_(sums[:size] / users, taken)
        self.filled.lerp_(torch.ones_like(self.filled), taken)
        return users / processes


class ExposureGini(Regularizer):
    """Gini index of how often each item is shown, over users (catalogue level).

    0 = all items equally often, nearly 1 = one item has it all. The value is that of an exposure memory, the gradient
    straight-through: item i costs price_i = (2 rank_i - N - 1) / N, its weight in the Gini index of the memory, applied
    to m / k. Ranks are taken anew at each step.

    Args:
        catalogue: the frozen catalogue.
        weight: multiplies this term.
        rate: of the memory, for each 256 users; nearer 1 remembers longer.
    """

    def __init__(self, catalogue: Catalogue, weight: float = 1.0, rate: float = 0.98) -> None:
        super().__init__(catalogue, weight)
        self.memory = ExposureMemory(catalogue.size, rate)

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Gini index of the memory, with the gradient of the prices."""
        users = self.memory.update(slate) if self.training else slate.items_BM.shape[0]
        exposure_N = self.memory.exposure()
        return gini_index(exposure_N) + _priced(slate, gini_price(exposure_N) / slate.k, users)


class Coverage(Regularizer):
    """Expected share of the catalogue that none of U users sees, mean_i exp(-U e_i) (catalogue level).

    0 = everybody's lists together reach every item, nearly 1 = they share a few items. Value and gradient as in
    `ExposureGini`, with the price -U exp(-U e_i) / N: items that are hardly shown are paid for, all others are free.

    Args:
        catalogue: the frozen catalogue.
        weight: multiplies this term.
        users: U, how many users are served; null takes as many as there are items.
        rate: of the memory, for each 256 users; nearer 1 remembers longer.
    """

    def __init__(self, catalogue: Catalogue, weight: float = 1.0, users: int | None = None, rate: float = 0.98) -> None:
        super().__init__(catalogue, weight)
        if users is not None:
            check_number("diversity.coverage.users", users, least=1, whole=True)
        self.users = catalogue.size if users is None else users
        self.memory = ExposureMemory(catalogue.size, rate)

    def forward(self, slate: SoftSlate, batch: Batch) -> Tensor:
        """Unseen share of the memory, with the gradient of the prices."""
        users = self.memory.update(slate) if self.training else slate.items_BM.shape[0]
        exposure_N = self.memory.exposure()
        price_N = -self.users * torch.exp(-self.users * exposure_N) / exposure_N.shape[0]
        return unseen_share(exposure_N, self.users) + _priced(slate, price_N, users)


def _priced(slate: SoftSlate, price_N: Tensor, users: Tensor | int) -> Tensor:
    """0 with the gradient of the slates' mean cost.

    Differentiating through the memory would shrink the gradient by 1 - rate. Prices are constants and alike in all
    processes, and processes average their gradients, so none has to flow between them.
    """
    cost = (price_N[slate.items_BM].to(slate.weights_BM.dtype) * slate.weights_BM).sum() / users
    return cost - cost.detach()
