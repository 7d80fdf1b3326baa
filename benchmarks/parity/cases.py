"""Users whose lists divrec and other libraries measure, random ones and awkward ones.

Shapes: B users, N items, T targets a user, S seen items a user.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from divrec.batch import Catalogue, Ranking
from divrec.ranking import rank


@dataclass(frozen=True)
class Case:
    """Users whose lists are measured.

    Attributes:
        about: what is awkward in it.
        scores_BN: score of every item.
        targets_BT: relevant items, padded with -1.
        seen_BS: items that are not ranked, padded with N.
        k: length of the lists.
        counts_N: training events of each item.
        categories_N: the one category of each item.
        vectors_ND: unit vectors of the items.
    """

    about: str
    scores_BN: Tensor
    targets_BT: Tensor
    seen_BS: Tensor
    k: int
    counts_N: Tensor
    categories_N: Tensor
    vectors_ND: Tensor

    @property
    def tied(self) -> bool:
        """Whether equal scores leave the order open; then every order of the items is a list of its own."""
        return any(len(row.unique()) < len(row) for row in self.scores_BN)

    @property
    def catalogue(self) -> Catalogue:
        """The items as divrec knows them."""
        size, rows_N1 = int(self.categories_N.max()) + 1, self.categories_N.unsqueeze(-1)
        return Catalogue(self.vectors_ND, rows_N1, torch.ones(rows_N1.shape), size, self.counts_N)

    def ranking(self, places_N: Tensor | None = None) -> Ranking:
        """Everything ranked, ties by `places_N`."""
        places_N = torch.arange(self.scores_BN.shape[1]) if places_N is None else places_N
        return rank(self.scores_BN, self.targets_BT, self.seen_BS, self.k, places_N)

    def lists(self, places_N: Tensor | None = None) -> list[list[int]]:
        """Delivered items of each user."""
        return [[item for item in row if item >= 0] for row in self.ranking(places_N).items_BM.tolist()]

    def targets(self) -> list[list[int]]:
        """Relevant items of each user that could be ranked."""
        return [[item for item in row if item >= 0] for row in self.ranking().targets_BT.tolist()]

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        values = ((each.name, getattr(self, each.name)) for each in dataclasses.fields(self))
        return {name: value.tolist() if isinstance(value, Tensor) else value for name, value in values}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Case:
        """The case that `to_dict` wrote."""
        tensors = {name: torch.tensor(value) for name, value in content.items() if isinstance(value, list)}
        doubles = {name: tensors[name].double() for name in ("scores_BN", "vectors_ND")}
        return cls(about=content["about"], k=content["k"], **(tensors | doubles))

    def orders(self) -> list[Tensor | None]:
        """The orders of the items that ties are broken by."""
        if not self.tied:
            return [None]
        return [torch.tensor(order) for order in itertools.permutations(range(self.scores_BN.shape[1]))]


def random_case(about: str, users: int, items: int, k: int, relevant: Sequence[int]) -> Case:
    """Scores without ties; so many relevant items a user, in turn; some items seen."""
    generator = torch.Generator().manual_seed(users + items)
    scores_BN = torch.stack([torch.randperm(items, generator=generator) for _ in range(users)]).double()
    targets_BT = torch.stack([torch.randperm(items, generator=generator)[: max(relevant)] for _ in range(users)])
    for user in range(users):
        targets_BT[user, relevant[user % len(relevant)] :] = -1
    seen_BS = torch.randint(0, items + 1, (users, max(1, items // 10)), generator=generator)
    counts_N = torch.randint(1, 40, (items,), generator=generator)
    categories_N = torch.arange(items) % 5
    vectors_ND = normalize(torch.randn(items, 6, generator=generator, dtype=torch.float64), dim=-1)
    return Case(about, scores_BN, targets_BT, seen_BS, k, counts_N, categories_N, vectors_ND)


def awkward_case() -> Case:
    """Eight users: no target, nothing left to rank, one item left, targets seen, and lists that are too short."""
    plain = random_case("users without targets, lists or both; lists of one item; targets seen", 8, 12, 5, (2,))
    targets_BT, seen_BS = plain.targets_BT.clone(), torch.full((8, 12), 12)
    targets_BT[0] = -1
    seen_BS[1], seen_BS[2] = torch.arange(12), torch.arange(12)
    targets_BT[2] = -1
    seen_BS[3, :11] = torch.tensor([item for item in range(12) if item != int(targets_BT[3, 0])])
    seen_BS[4, :2] = targets_BT[4]
    seen_BS[5, :1] = targets_BT[5, :1]
    seen_BS[6, :9] = torch.arange(9)
    return Case(plain.about, plain.scores_BN, targets_BT, seen_BS, 5, *items_of(plain))


def tied_case() -> Case:
    """Few levels of scores: divrec takes the expectation, the libraries' values are averaged over all orders."""
    plain = random_case("ties: mean of the library over all 120 orders of the items", 6, 5, 3, (1, 2, 4))
    levels = [[0] * 5, [1, 1, 1, 0, 0], [0, 1, 1, 1, 1], [2, 1, 1, 0, 0], [0, 0, 0, 0, 1], [3, 2, 2, 2, 1]]
    scores_BN = torch.tensor(levels).double()
    return Case(plain.about, scores_BN, plain.targets_BT, torch.full((6, 1), 5), 3, *items_of(plain))


def items_of(case: Case) -> tuple[Tensor, Tensor, Tensor]:
    """What a case knows of the items."""
    return case.counts_N, case.categories_N, case.vectors_ND


def cases() -> dict[str, Case]:
    """Name -> users; all but the first are small enough to be kept beside the tests."""
    return {
        "random": random_case("1 to 8 relevant items", 200, 300, 10, range(1, 9)),
        "one relevant": random_case("one relevant item a user", 8, 20, 5, (1,)),
        "many relevant": random_case("more relevant items than places", 6, 20, 5, (6, 9, 12)),
        "few items": random_case("k greater than the number of items", 6, 7, 10, (1, 3, 5)),
        "awkward": awkward_case(),
        "ties": tied_case(),
    }
