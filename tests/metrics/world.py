"""Users, lists and truths with all that is awkward, and a way to renumber items and reorder users."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from divrec.batch import Catalogue, Ranking, Slate
from divrec.metrics import SlateMetrics
from divrec.ranking import deliver, rank, tie_order

SIZE, CATEGORIES = 40, 6


@dataclass(frozen=True)
class World:
    """What metrics read; the first user has no target, the second no history, the third few candidates."""

    catalogue: Catalogue
    scores_BN: Tensor
    targets_BT: Tensor
    seen_BS: Tensor
    history_BS: Tensor
    places_N: Tensor

    @classmethod
    def make(cls, users: int = 12, seed: int = 0, levels: int = 12) -> World:
        """Scores on few levels, so that many tie; repeated counts; items in one or two categories."""
        generator = torch.Generator().manual_seed(seed)
        first = torch.randint(0, CATEGORIES, (SIZE,), generator=generator)
        split = torch.arange(SIZE) % 3 == 0
        second = torch.where(split, (first + 1 + torch.arange(SIZE) % (CATEGORIES - 1)) % CATEGORIES, 0)
        catalogue = Catalogue(
            vectors_ND=normalize(torch.randn(SIZE, 8, generator=generator, dtype=torch.float64), dim=-1),
            categories_NJ=torch.stack([first, second], dim=-1),
            category_weights_NJ=torch.stack([torch.where(split, 0.5, 1.0), torch.where(split, 0.5, 0.0)], dim=-1),
            category_count=CATEGORIES,
            counts_N=torch.randint(0, 12, (SIZE,), generator=generator),
        )
        seen_BS = torch.stack([torch.randperm(SIZE, generator=generator)[:8] for _ in range(users)])
        seen_BS[torch.rand(users, 8, generator=generator) < 0.3] = SIZE
        targets_BT = torch.stack([torch.randperm(SIZE, generator=generator)[:4] for _ in range(users)])
        targets_BT[torch.rand(users, 4, generator=generator) < 0.3] = -1
        targets_BT[0], seen_BS[1] = -1, SIZE
        seen = torch.randperm(SIZE, generator=generator)[: SIZE - 4]
        wide_BS = torch.full((users, SIZE), SIZE)
        wide_BS[:, :8] = seen_BS
        wide_BS[2, : len(seen)] = seen
        return cls(
            catalogue,
            torch.randint(0, levels, (users, SIZE), generator=generator).double(),
            targets_BT,
            wide_BS,
            torch.rand(users, SIZE, generator=generator, dtype=torch.float64) * (wide_BS < SIZE),
            tie_order(SIZE, seed),
        )

    def users(self, rows: Tensor | slice) -> World:
        """Some users, in some order."""
        names = ("scores_BN", "targets_BT", "seen_BS", "history_BS")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def renumbered(self, order_N: Tensor) -> World:
        """The same shop with item `order_N[i]` called i."""
        name_N = torch.empty(SIZE + 1, dtype=torch.int64)
        name_N[order_N] = torch.arange(SIZE)
        name_N[SIZE] = SIZE
        c = self.catalogue
        moved = Catalogue(
            c.vectors_ND[order_N],
            c.categories_NJ[order_N],
            c.category_weights_NJ[order_N],
            CATEGORIES,
            c.counts_N[order_N],
        )
        targets_BT = torch.where(self.targets_BT >= 0, name_N[self.targets_BT], -1)
        return replace(
            self,
            catalogue=moved,
            scores_BN=self.scores_BN[:, order_N],
            targets_BT=targets_BT,
            seen_BS=name_N[self.seen_BS],
            places_N=self.places_N[order_N],
        )

    def ranking(self) -> Ranking:
        """All items ranked, the seen ones out."""
        return rank(self.scores_BN, self.targets_BT, self.seen_BS, 20, self.places_N)

    def measure(self, metrics: SlateMetrics, k: int = 10) -> tuple[Ranking, Slate, dict[str, Tensor]]:
        """Add all users to metrics."""
        ranking = self.ranking()
        slate = deliver(ranking, k)
        return ranking, slate, metrics.update(ranking, slate, self.seen_BS, self.history_BS)
