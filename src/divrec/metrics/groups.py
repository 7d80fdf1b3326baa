"""The same metrics for parts of the users and of the catalogue: who pays for the diversity, and who gets it.

Groupings: `activity` of users (how many items they have touched), `popularity` of items (head, mid, tail, new) and
`category`. A user belongs to a group of items if one of the targets does; accuracy then counts those targets only, all
other metrics of a user's list are what they are. A user can be in several groups of items.
Shapes: B users, R (user, group) rows, T targets a user, G groups, M metrics, N items, J categories an item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from divrec import measures
from divrec.batch import Catalogue, Ranking, Slate
from divrec.ranking import delivered_ranks

ACTIVITIES = ("cold", "light", "heavy")
_ACTIVITY_EDGES = (5, 20)  # cold: up to 5 touched items, light: up to 20
_ACCURACY: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "recall": measures.recall,
    "precision": measures.precision,
    "hit_rate": measures.hit_rate,
    "ndcg": measures.ndcg,
    "mrr": measures.mrr,
    "map": measures.average_precision,
}
_COUNTS = ("users_G", "won_twice_G", "pairs_G")
_SHOWN: dict[str, Callable[[Tensor], Tensor]] = {
    "coverage": measures.coverage,
    "gini": lambda exposure_N: measures.gini_index(exposure_N.double()),
    "effective_coverage": measures.effective_coverage,
}


class GroupValue(NamedTuple):
    """One metric of one group.

    Attributes:
        grouping: "activity", "popularity" or "category".
        group: "cold", "head", ..., or the number of the category.
        metric: as in the records.
        value: mean over the group's users, or the set-level value.
        users: users with a value; for the pooled AUC and the set-level values the users of the group, but -1 for what
            is shown of a group of items.
    """

    grouping: str
    group: str
    metric: str
    value: float
    users: int


class GroupMetrics(Metric):
    """Sums and counts of per-user values and of pairs by group, exposure by activity; all added up over processes.

    Args:
        catalogue: gives classes and categories of the items.
        sizes: lengths of the lists, k.
        names: per-user metrics in the order in which `update` gets them.
    """

    is_differentiable = False
    full_state_update = False
    total_GM: Tensor
    defined_GM: Tensor
    users_G: Tensor
    won_twice_G: Tensor
    pairs_G: Tensor

    def __init__(self, catalogue: Catalogue, sizes: Sequence[int], names: Sequence[str]) -> None:
        super().__init__()
        self.sizes, self.names = tuple(sizes), tuple(names)
        self._catalogue = catalogue
        self._classes_N = measures.popularity_class(catalogue.counts_N)
        groups = len(ACTIVITIES) + len(measures.POPULARITY_CLASSES) + catalogue.category_count
        width = len(self.names)
        self.add_state("total_GM", torch.zeros(groups, width, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("defined_GM", torch.zeros(groups, width, dtype=torch.int64), dist_reduce_fx="sum")
        for name in _COUNTS:
            self.add_state(name, torch.zeros(groups, dtype=torch.int64), dist_reduce_fx="sum")
        for k in self.sizes:
            empty = torch.zeros(len(ACTIVITIES), catalogue.size, dtype=torch.int64)
            self.add_state(f"exposure_{k}", empty, dist_reduce_fx="sum")

    def update(self, ranking: Ranking, slate: Slate, seen_BS: Tensor, values: Mapping[str, Tensor]) -> None:
        """Add a batch of users.

        Args:
            ranking: the model's ranking.
            slate: the delivered lists.
            seen_BS: items of each user's history, padded with N.
            values: name -> values (B,), as `SlateMetrics.update` returns them.
        """
        values_BM = torch.stack([values[name] for name in self.names], dim=-1)
        touched_B = (seen_BS < self._catalogue.size).sum(-1)
        activity_B = torch.bucketize(touched_B, touched_B.new_tensor(_ACTIVITY_EDGES))
        self._add(activity_B, values_BM)
        self._add_pairs(activity_B, ranking.above_BT, ranking.ties_BT, ranking.candidates_B)
        for k in self.sizes:
            self._show(f"exposure_{k}", activity_B, slate.items_BK[:, :k])
        ranks = (ranking, delivered_ranks(slate, ranking))
        first = len(ACTIVITIES)
        rows_R, classes_R, kept_RT = self._by_class(ranking.targets_BT)
        self._add_restricted(first + classes_R, values_BM, ranks, rows_R, kept_RT)
        rows_R, categories_R, kept_RT = self._by_category(ranking.targets_BT)
        first += len(measures.POPULARITY_CLASSES)
        self._add_restricted(first + categories_R, values_BM, ranks, rows_R, kept_RT)

    def compute(self) -> dict[str, Tensor]:
        """The states, all processes together; `values` says what they mean."""
        exposures = {f"exposure_{k}": getattr(self, f"exposure_{k}") for k in self.sizes}
        counts = {name: getattr(self, name) for name in _COUNTS}
        return {"total_GM": self.total_GM, "defined_GM": self.defined_GM, **counts, **exposures}

    def values(self) -> list[GroupValue]:
        """All groups that have users or items, all processes together."""
        state = self.compute()
        means_GM = (state["total_GM"] / state["defined_GM"]).tolist()
        counts_GM, users_G = state["defined_GM"].tolist(), state["users_G"].tolist()
        found = [
            GroupValue(grouping, group, name, value, count)
            for place, (grouping, group) in enumerate(self._groups())
            if users_G[place]
            for name, value, count in zip(self.names, means_GM[place], counts_GM[place], strict=True)
        ]
        return found + list(self._pooled(state)) + list(self._set_level(state))

    def _groups(self) -> Iterator[tuple[str, str]]:
        yield from (("activity", name) for name in ACTIVITIES)
        yield from (("popularity", name) for name in measures.POPULARITY_CLASSES)
        yield from (("category", str(number)) for number in range(self._catalogue.category_count))

    def _pooled(self, state: Mapping[str, Tensor]) -> Iterator[GroupValue]:
        shares_G = (state["won_twice_G"].double() / (2 * state["pairs_G"])).tolist()
        for (grouping, group), share, users in zip(self._groups(), shares_G, state["users_G"].tolist(), strict=True):
            if users:
                yield GroupValue(grouping, group, "auc_pooled", share, users)

    def _set_level(self, state: Mapping[str, Tensor]) -> Iterator[GroupValue]:
        for k in self.sizes:
            exposure_GN = state[f"exposure_{k}"]
            for place, name in enumerate(ACTIVITIES):
                if users := int(state["users_G"][place]):
                    for metric, measure in _SHOWN.items():
                        value = float(measure(exposure_GN[place]))
                        yield GroupValue("activity", name, f"{metric}@{k}", value, users)
            everything_N = exposure_GN.sum(0)
            for grouping, group, items in self._parts_of_the_catalogue():
                for metric, measure in _SHOWN.items():
                    yield GroupValue(grouping, group, f"{metric}@{k}", float(measure(everything_N[items])), -1)

    def _parts_of_the_catalogue(self) -> Iterator[tuple[str, str, Tensor]]:
        for place, name in enumerate(measures.POPULARITY_CLASSES):
            items = (self._classes_N == place).nonzero().squeeze(-1)
            if len(items):
                yield "popularity", name, items
        inside_NJ = self._catalogue.category_weights_NJ > 0
        rows, places = inside_NJ.nonzero(as_tuple=True)
        categories = self._catalogue.categories_NJ[rows, places]
        order = categories.argsort(stable=True)
        counts = torch.bincount(categories, minlength=self._catalogue.category_count).tolist()
        for number, items in enumerate(torch.split(rows[order], counts)):
            if len(items):
                yield "category", str(number), items

    def _by_class(self, targets_BT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows, classes and kept targets of every (user, class of a target)."""
        classes_BT = self._classes_N[targets_BT.clamp(min=0)].masked_fill(targets_BT < 0, -1)
        inside_BGT = classes_BT.unsqueeze(1) == torch.arange(4, device=targets_BT.device)[:, None]
        rows_R, groups_R = inside_BGT.any(-1).nonzero(as_tuple=True)
        return rows_R, groups_R, inside_BGT[rows_R, groups_R]

    def _by_category(self, targets_BT: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of every (user, category of a target), without a table of all categories."""
        count = self._catalogue.category_count
        listed_BT = targets_BT.clamp(min=0)
        categories_BTJ = self._catalogue.categories_NJ[listed_BT]
        real_BTJ = (self._catalogue.category_weights_NJ[listed_BT] > 0) & (targets_BT >= 0).unsqueeze(-1)
        keys_BTJ = torch.arange(len(targets_BT), device=targets_BT.device)[:, None, None] * count + categories_BTJ
        keys_R, inverse = torch.unique(keys_BTJ[real_BTJ], return_inverse=True)
        kept_RT = torch.zeros(len(keys_R), targets_BT.shape[1], dtype=torch.bool, device=targets_BT.device)
        kept_RT[inverse, real_BTJ.nonzero(as_tuple=True)[1]] = True
        return keys_R // count, keys_R % count, kept_RT

    def _add_restricted(
        self, groups_R: Tensor, values_BM: Tensor, ranks: tuple[Ranking, Ranking], rows_R: Tensor, kept_RT: Tensor
    ) -> None:
        """Add rows of users; accuracy counts the kept targets only. `ranks`: the model's, as delivered."""
        values_RM = values_BM[rows_R].clone()
        (own_above_RT, own_ties_RT), (above_RT, ties_RT) = (
            (each.above_BT[rows_R].masked_fill(~kept_RT, 0), each.ties_BT[rows_R].masked_fill(~kept_RT, 0))
            for each in ranks
        )
        for column, name in enumerate(self.names):
            metric, _, k = name.partition("@")
            if metric in _ACCURACY:
                values_RM[:, column] = _ACCURACY[metric](above_RT, ties_RT, int(k)).double()
            elif metric == "auc":
                values_RM[:, column] = measures.auc(own_above_RT, own_ties_RT, ranks[0].candidates_B[rows_R])
        self._add(groups_R, values_RM)
        self._add_pairs(groups_R, own_above_RT, own_ties_RT, ranks[0].candidates_B[rows_R])

    def _add(self, groups_R: Tensor, values_RM: Tensor) -> None:
        missing_RM = values_RM.isnan()
        self.total_GM = self.total_GM.index_add(0, groups_R, values_RM.masked_fill(missing_RM, 0))
        self.defined_GM = self.defined_GM.index_add(0, groups_R, (~missing_RM).long())
        self.users_G = self.users_G.index_add(0, groups_R, torch.ones_like(groups_R))

    def _add_pairs(self, groups_R: Tensor, above_RT: Tensor, ties_RT: Tensor, candidates_R: Tensor) -> None:
        won_R, pairs_R = measures.pairs_won_twice(above_RT, ties_RT, candidates_R)
        self.won_twice_G = self.won_twice_G.index_add(0, groups_R, won_R)
        self.pairs_G = self.pairs_G.index_add(0, groups_R, pairs_R)

    def _show(self, state: str, activity_B: Tensor, items_BK: Tensor) -> None:
        exposure_GN: Tensor = getattr(self, state)
        shown_BK = items_BK >= 0
        places = (activity_B.unsqueeze(-1) * self._catalogue.size + items_BK)[shown_BK]
        flat = exposure_GN.flatten().index_add(0, places, torch.ones_like(places))
        setattr(self, state, flat.view_as(exposure_GN))


def as_columns(values: Sequence[GroupValue]) -> dict[str, list[object]]:
    """The values as columns of a table."""
    return {name: [getattr(value, name) for value in values] for name in GroupValue._fields}
