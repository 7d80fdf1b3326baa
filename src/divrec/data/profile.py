"""What a dataset looks like, counted while it is built: the numbers behind the data card.

E events, U users, N items.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from divrec.data.events import Division, Events, Numbers
from divrec.schema import SPLITS, TRAIN

_PERIODS = 60  # bars of the plot over time, at most
_POINTS = 101
_DAY = 86_400
OTHER = "other"


def profile(events: Events, division: Division, kinds: list[str]) -> dict[str, Any]:
    """Counts for the data card, as plain JSON types.

    Args:
        events: all events of the dataset.
        division: which of them are training and targets.
        kinds: names of the kinds.
    """
    part_E = _parts(events, division)
    counts_N = np.bincount(events.items_E, minlength=len(events.item_ids))
    lengths_U = np.bincount(events.users_E, minlength=len(events.user_ids))
    return {
        "density": len(events.items_E) / (len(events.user_ids) * len(events.item_ids)),
        "kinds": {
            name: int(count)
            for name, count in zip(kinds, np.bincount(events.kinds_E, minlength=len(kinds)), strict=True)
        },
        "time": _over_time(events.times_E, part_E),
        "long_tail": _long_tail(counts_N),
        "history_lengths": _lengths(lengths_U),
    }


def _parts(events: Events, division: Division) -> NDArray[np.int8]:
    """0 training, 1 validation target, 2 test target, 3 none of these (history, or known too late)."""
    part_E = np.full(len(events.items_E), 3, dtype=np.int8)
    part_E[division.train_E] = 0
    for number, name in enumerate(SPLITS, start=1):
        part_E[division.targets_E[name]] = number
    return part_E


def _over_time(times_E: Numbers, part_E: NDArray[np.int8]) -> dict[str, Any]:
    first, last = int(times_E.min()), int(times_E.max())
    days = max(1, -(-(last - first + 1) // (_DAY * _PERIODS)))
    periods_E = (times_E - first) // (days * _DAY)
    periods = int(periods_E.max()) + 1
    names = (TRAIN, *SPLITS, OTHER)
    counts = np.bincount(periods_E * len(names) + part_E, minlength=periods * len(names)).reshape(periods, len(names))
    return {
        "first": datetime.fromtimestamp(first, UTC).isoformat(),
        "last": datetime.fromtimestamp(last, UTC).isoformat(),
        "days_a_bar": days,
        "events": {name: counts[:, number].tolist() for number, name in enumerate(names)},
    }


def _long_tail(counts_N: Numbers) -> dict[str, Any]:
    """Share of events on the best-selling share of items, and the Gini index of the counts."""
    sorted_N = np.sort(counts_N)[::-1].astype(np.float64)
    cumulated = np.concatenate([[0.0], np.cumsum(sorted_N) / sorted_N.sum()])
    shares = np.linspace(0, 1, _POINTS)
    places = np.linspace(0, 1, len(cumulated))
    ranks = np.arange(1, len(sorted_N) + 1)
    gini = float(((2 * ranks - len(sorted_N) - 1) * sorted_N[::-1]).sum() / (len(sorted_N) * sorted_N.sum()))
    return {
        "events": [round(float(value), 5) for value in np.interp(shares, places, cumulated)],
        "gini": gini,
        "top_percent": float(np.interp(0.01, places, cumulated)),
        "half_of_events_on": float(np.interp(0.5, cumulated, places)),
    }


def _lengths(lengths_U: Numbers) -> dict[str, Any]:
    edges = np.unique(np.round(np.geomspace(1, max(int(lengths_U.max()), 2) + 1, 25)).astype(np.int64))
    counts, _ = np.histogram(lengths_U, edges)
    quantiles = np.quantile(lengths_U, [0.05, 0.25, 0.5, 0.75, 0.95])
    return {
        "edges": edges.tolist(),
        "users": counts.tolist(),
        "quantiles": dict(zip(("5 %", "25 %", "50 %", "75 %", "95 %"), quantiles.tolist(), strict=True)),
        "mean": float(lengths_U.mean()),
    }
