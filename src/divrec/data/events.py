"""All events of a dataset as flat arrays, and who may see which of them.

E events, U users, N items, K kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Numbers = NDArray[np.integer]
Mask = NDArray[np.bool_]

NEVER_REMOVED = 3  # one past the last part


@dataclass(frozen=True)
class Events:
    """All events of a dataset, ordered by user and time; ties in time stand in seeded random order.

    Attributes:
        users_E, items_E: row numbers of the user and of the item.
        times_E: seconds since the epoch.
        kinds_E: position in the list of kinds.
        removed_E: part (0 training, 1 validation, 2 test) in which a removing event took this one out; 3 = never.
        user_ids, item_ids: the log's ids by row number; their order is a seeded shuffle and carries nothing.
    """

    users_E: Numbers
    items_E: Numbers
    times_E: Numbers
    kinds_E: Numbers
    removed_E: Numbers
    user_ids: pa.Array
    item_ids: pa.Array


@dataclass(frozen=True)
class Roles:
    """What events of each kind do, by the number of the kind.

    Attributes:
        is_target: can be asked for.
        is_input: is read as history.
    """

    is_target: Mask
    is_input: Mask


@dataclass(frozen=True)
class Division:
    """Which events belong where. An event can be history of several splits.

    Attributes:
        train_E: training.
        history_E: split -> what its users had done before.
        targets_E: split -> what is asked for.
    """

    train_E: Mask
    history_E: Mapping[str, Mask]
    targets_E: Mapping[str, Mask]
