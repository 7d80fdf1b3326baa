"""Profile texts of users at moments: what a language model may read of a user when a query asks.

A text belongs to a user at a moment, since one of the whole history would tell a training query what it asks for.
R rows of a split, E events, M moments, C cuts, Q queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray

from divrec.data.histories import Histories, Numbers, spread
from divrec.data.text import ProfileText
from divrec.errors import ConfigError, check_number
from divrec.schema import TEXT, TRAIN


@dataclass(frozen=True)
class ProfileCuts:
    """The moments at which the users of a split have a profile.

    Attributes:
        stops_C: event where the sight of each profile ends, ascending, numbered as in `Histories`.
        numbers_C: place of its text in `UserProfiles.texts`.
    """

    stops_C: Numbers
    numbers_C: Numbers

    def at(self, starts_Q: Numbers, stops_Q: Numbers) -> Numbers:
        """Text of the latest profile that ends no later than each query's sight, 0 where there is none.

        Args:
            starts_Q: first event of each query's user.
            stops_Q: event where the query's sight ends.
        """
        place_Q = np.searchsorted(self.stops_C, stops_Q, side="right") - 1
        found_Q = (place_Q >= 0) & (self.stops_C[place_Q] > starts_Q)
        return np.where(found_Q, self.numbers_C[place_Q], 0)


@dataclass(frozen=True)
class UserProfiles:
    """All profile texts of a dataset.

    Attributes:
        texts: distinct; the first is empty and stands for users about whom nothing is known.
        cuts: split -> who has which of them when.
    """

    texts: list[str]
    cuts: dict[str, ProfileCuts]


@dataclass(frozen=True)
class Profiles:
    """Which profiles a dataset has. A query sees the latest one that was complete when it asks, never a later one.

    Training users get a few, so that the language model reads a bounded number of texts; a query between two cuts sees
    a profile that lags behind its history. Users of evaluation splits get one, of all that came before the window, so
    training profiles are somewhat staler than those they stand for: more cuts = less so, and more texts to encode.

    Attributes:
        text: how the events become a text; of kinds that no model reads, nothing enters.
        cuts: profiles of a training user, at most.
        place: `even` spreads them over the moments that can be asked about, beginning with the first, `last` takes the
            latest ones: they hold no older news than evaluation's, and queries before them see no profile at all.
    """

    text: ProfileText = field(default_factory=ProfileText)
    cuts: int = 8
    place: Literal["even", "last"] = "even"

    def __post_init__(self) -> None:
        """Refuse settings that make no sense."""
        check_number("data.profiles.cuts", self.cuts, least=1, whole=True)
        if self.place not in ("even", "last"):
            raise ConfigError("no such place", where="data.profiles.place", got=self.place, mend="Use even or last.")

    def of(self, histories: Mapping[str, Histories], catalogue: Dataset, read_kinds: NDArray[np.bool_]) -> UserProfiles:
        """Write the texts.

        Args:
            histories: split -> histories of its users.
            catalogue: rows with `text`.
            read_kinds: by kind, whether a model reads its events.
        """
        words = catalogue[TEXT][:]
        places = {"": 0}
        cuts = {}
        for split, each in histories.items():
            stops_C = self._training_stops(each) if split == TRAIN else each.offsets_R[1:]
            is_read_E = read_kinds[each.kinds_E]
            starts_C = each.offsets_R[np.searchsorted(each.offsets_R, stops_C, side="left") - 1]
            numbers = []
            for start, stop in zip(starts_C.tolist(), stops_C.tolist(), strict=True):
                items = each.items_E[start:stop][is_read_E[start:stop]]
                text = self.text.render([words[item] for item in items.tolist()]) if len(items) else ""
                numbers.append(places.setdefault(text, len(places)))
            cuts[split] = ProfileCuts(stops_C, np.asarray(numbers, dtype=np.int64))
        return UserProfiles(list(places), cuts)

    def _training_stops(self, histories: Histories) -> Numbers:
        """Where sight ends at the chosen moments of each row; its first moment has nothing before it."""
        first_R = histories.first_moments[:-1].astype(np.int64) + 1
        count_R = histories.first_moments[1:] - first_R
        chosen_R = np.minimum(count_R, self.cuts)
        rows, places = spread(np.zeros_like(chosen_R), chosen_R)
        if self.place == "even":
            moments = first_R[rows] + places * count_R[rows] // chosen_R[rows]
        else:
            moments = first_R[rows] + count_R[rows] - chosen_R[rows] + places
        return histories.starts_M[moments]
