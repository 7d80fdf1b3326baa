"""Bootstrap replicates of the measures of points: the same users are drawn for every point of a front.

Shapes: U users, N items shown, R replicates, M metrics. Set-level values are computed anew from each replicate's
exposure counts (integers), and moved so that they center on the value of all users: a replicate holds about 63 % of the
users, and fewer users cover fewer items.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from divrec.analysis.records import read_slates, read_users
from divrec.analysis.significance import SET_LEVEL, set_level_values
from divrec.analysis.statistics import Floats, draw_weights, list_matrix, resampled_means
from divrec.analysis.tradeoff import Point
from divrec.errors import RecordError
from divrec.schema import RANK, SPLIT, USER_ID

REPLICATES = 500
_CHUNK = 4_000_000  # exposure counts that are held at a time
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are made.

    Attributes:
        k: list size.
        seed: of the draws of users, and of how the mean over seeds moves.
        replicates: number of resamples R, for means over users and for set-level values alike.
        metrics: per-user metrics to resample, as "ndcg@10"; None takes all that both sides have.
    """

    k: int
    seed: int = 0
    replicates: int = REPLICATES
    metrics: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Drawn:
    """Values by metric: of all users, and in each replicate (R,); and of how many users they are."""

    whole: dict[str, float]
    replicates: dict[str, Floats]
    users: dict[str, int]

    def less(self, other: Drawn) -> Drawn:
        """The difference of two on the same replicates, for the metrics that both have."""
        both = [metric for metric in self.whole if metric in other.whole]
        return Drawn(
            {metric: self.whole[metric] - other.whole[metric] for metric in both},
            {metric: self.replicates[metric] - other.replicates[metric] for metric in both},
            {metric: min(self.users[metric], other.users[metric]) for metric in both},
        )


class ControlReplicates:
    """A control on one split, and the differences of other points to it on the same replicates."""

    def __init__(self, control: Point, split: str, bootstrap: Bootstrap) -> None:
        """Read the control and draw its users.

        Args:
            control: the control's point.
            split: validation or test.
            bootstrap: list size, seed and number of replicates.

        Raises:
            RecordError: the control's files cannot be read.
        """
        self._split, self._bootstrap = split, bootstrap
        self._items = int(control.record.data["items"])
        self._users, self._slates = self._read(control)
        generator = np.random.default_rng(bootstrap.seed)
        self._weights_RU = draw_weights(len(self._users), bootstrap.replicates, generator)
        self.own = self._drawn(self._users, self._slates, np.arange(len(self._users)))

    def difference(self, point: Point) -> Drawn:
        """Point minus control on the users that both have.

        Raises:
            RecordError: the point's files cannot be read, or it shares no user with the control.
        """
        users, slates = self._read(point)
        places = np.flatnonzero(self._users.index.isin(users.index))
        if places.size == 0:
            raise RecordError("no user in common with the control", where=str(point.folder), mend="Evaluate it again.")
        common = self._users.index[places]
        own = self.own
        if len(places) < max(len(users), len(self._users)):
            message = "%s, %s: compared on the %d users that the control has too"
            _log.warning(message, point.record.name, self._split, len(places))
            own = self._drawn(self._users.loc[common], self._slates, places)
        return self._drawn(users.loc[common], slates, places).less(own)

    def _read(self, point: Point) -> tuple[pd.DataFrame, pd.DataFrame]:
        users = read_users(point.folder, self._split).set_index(USER_ID).drop(columns=SPLIT)
        slates = read_slates(point.folder, self._split)
        wanted = self._bootstrap.metrics
        kept = [metric for metric in users.columns if wanted is None or metric in wanted]
        return users[kept], slates[slates[RANK] <= self._bootstrap.k]

    def _drawn(self, users: pd.DataFrame, slates: pd.DataFrame, places: NDArray[np.intp]) -> Drawn:
        weights_RU = self._weights_RU if len(places) == self._weights_RU.shape[1] else self._weights_RU[:, places]
        plain = np.ones((1, len(users)), dtype=np.uint8)
        values_UM = users.to_numpy(np.float64)
        lists = list_matrix(slates, users.index)
        whole_V, moved_RV = centered_set_level(lists, weights_RU, self._items)
        whole = [*resampled_means(values_UM, plain)[0], *whole_V]
        counts = [*(~np.isnan(values_UM)).sum(0), *[len(users)] * len(SET_LEVEL)]
        names = [*users.columns, *(f"{name}@{self._bootstrap.k}" for name in SET_LEVEL)]
        columns = np.concatenate([resampled_means(values_UM, weights_RU), moved_RV], axis=1).T
        return Drawn(
            dict(zip(names, map(float, whole), strict=True)),
            dict(zip(names, columns, strict=True)),
            dict(zip(names, map(int, counts), strict=True)),
        )


def centered_set_level(lists: sparse.csr_array, weights_RU: NDArray[np.uint8], items: int) -> tuple[Floats, Floats]:
    """Set-level values of all users, (V,), and of resampled users, (R, V), moved so that they center on the former.

    A resample holds about 63 % of the users, and fewer users cover fewer items: without that every point would be
    measured on a smaller audience than it has. Arguments as in `set_level_replicates`.
    """
    whole_V: Floats = set_level_replicates(lists, np.ones((1, weights_RU.shape[1]), dtype=np.uint8), items)[0]
    drawn_RV = set_level_replicates(lists, weights_RU, items)
    return whole_V, drawn_RV + whole_V - drawn_RV.mean(axis=0)


def set_level_replicates(lists: sparse.csr_array, weights_RU: NDArray[np.uint8], items: int) -> Floats:
    """Coverage, Gini and effective coverage of resampled users' lists, (R, 3).

    Args:
        lists: delivered lists, (U, N) ones.
        weights_RU: how often each user is drawn.
        items: number of items in the catalogue; N may leave out those that nobody is shown.
    """
    shown_NU = sparse.csr_array(lists.T, dtype=np.int32)
    values = np.empty((weights_RU.shape[0], len(SET_LEVEL)))
    step = max(1, _CHUNK // max(1, *lists.shape))
    for start in range(0, weights_RU.shape[0], step):
        drawn_UR = np.ascontiguousarray(weights_RU[start : start + step].T, dtype=np.int32)
        exposure_RN = np.ascontiguousarray((shown_NU @ drawn_UR).T)
        values[start : start + step] = set_level_values(exposure_RN, items)
    return values
