"""Some users' lists from the control and from the operating point, side by side, and why an item came or went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from divrec.analysis.group_front import GroupFront
from divrec.analysis.options import FrontOptions
from divrec.analysis.records import read_slates
from divrec.analysis.wording import Words
from divrec.schema import ITEM_ID, RANK, TEST, USER_ID

Catalogue = Mapping[str, tuple[str, tuple[str, ...]]]  # item id -> its text and the names of its categories


@dataclass(frozen=True)
class ListedItem:
    """A delivered item: text, categories, whether only this list of the pair has it, and why it came or went."""

    text: str
    category: str
    only_here: bool
    why: str


@dataclass(frozen=True)
class UserLists:
    """One user's list from the control and from the operating point, and what changed in a sentence."""

    user: str
    summary: str
    control: tuple[ListedItem, ...]
    chosen: tuple[ListedItem, ...]


@dataclass(frozen=True)
class _Pair:
    """One user's two lists of item ids, and how many users each model shows each item to."""

    lists: tuple[list[str], list[str]]
    shown: tuple[Counter[str], Counter[str]]
    catalogue: Catalogue
    words: Words

    def of(self, item: str) -> tuple[str, ...]:
        """Categories of an item."""
        return self.catalogue.get(item, ("", ()))[1]

    def categories(self, side: int) -> set[str]:
        return {category for item in self.lists[side] for category in self.of(item)}


def user_lists(front: GroupFront, catalogue: Catalogue, options: FrontOptions) -> list[UserLists]:
    """Lists of some users (seeded choice among all test users) from the control and the operating point.

    Args:
        front: the analyzed group.
        catalogue: item id -> (text, names of its categories); items that it lacks are shown by id.
        options: number of users, seed and language.

    Raises:
        RecordError: the lists cannot be read.
    """
    if not front.gained:
        return []
    k = int(front.accuracy.metric.split("@")[1])
    frames = [read_slates(setting.first.folder, TEST) for setting in (front.control, front.operating)]
    lists = [_lists_by_user(frame[frame[RANK] <= k]) for frame in frames]
    shown = [Counter(item for items in side.values() for item in items) for side in lists]
    users = sorted(lists[0].keys() & lists[1].keys())
    generator = np.random.default_rng(options.seed)
    chosen = generator.choice(len(users), min(options.users, len(users)), replace=False)
    found = []
    for place in sorted(chosen):
        user = users[place]
        pair = _Pair((lists[0][user], lists[1][user]), (shown[0], shown[1]), catalogue, options.words)
        found.append(UserLists(user, _summary(pair), _listed(pair, 0), _listed(pair, 1)))
    return found


def _lists_by_user(slates: pd.DataFrame) -> dict[str, list[str]]:
    ordered = slates.sort_values([USER_ID, RANK])
    return {str(user): [str(item) for item in items] for user, items in ordered.groupby(USER_ID)[ITEM_ID]}


def _summary(pair: _Pair) -> str:
    means = [np.mean([pair.shown[side][item] for item in pair.lists[side]]) for side in (0, 1)]
    before, after = len(pair.categories(0)), len(pair.categories(1))
    return pair.words["lists.changed" if before else "lists.changed_untitled"].format(
        changed=len(set(pair.lists[1]) - set(pair.lists[0])),
        total=len(pair.lists[1]),
        before=before,
        after=after,
        shown_before=f"{means[0]:,.0f}",
        shown_after=f"{means[1]:,.0f}",
    )


def _listed(pair: _Pair, side: int) -> tuple[ListedItem, ...]:
    other = pair.lists[1 - side]
    found = []
    for rank, item in enumerate(pair.lists[side], start=1):
        text, categories = pair.catalogue.get(item, (item, ()))
        found.append(ListedItem(text, ", ".join(categories), item not in other, _why(pair, side, item, rank)))
    return tuple(found)


def _why(pair: _Pair, side: int, item: str, rank: int) -> str:
    other: Sequence[str] = pair.lists[1 - side]
    if item in other:
        before = other.index(item) + 1
        return pair.words["lists.moved"].format(rank=before) if side == 1 and before != rank else ""
    reasons = [pair.words["lists.came"].format(before=pair.shown[0][item], after=pair.shown[1][item])]
    known = pair.categories(1 - side)
    alone = [category for category in pair.of(item) if category not in known]
    if alone:
        reason = pair.words["lists.new_category" if side == 1 else "lists.lost_category"]
        few = len(alone) < len(pair.of(item))  # else they stand beside the item anyway
        reasons.append(f"{reason}: {', '.join(alone)}" if few else reason)
    return ", ".join(reasons)
