"""Diversity of the lists that each user was shown: category measures, and their difference between two arms.

Shapes: L lists, N items of the catalogue, C categories.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from scipy import sparse

from divrec.analysis.abtest.effects import Effect, difference_of_means
from divrec.analysis.abtest.logs import ARM, check_columns
from divrec.analysis.abtest.shown import members_of, pair_of
from divrec.analysis.statistics import LEVEL
from divrec.errors import DataError, check_number
from divrec.schema import CATEGORIES, ITEM_ID, USER_ID

LIST_LEVEL = ("entropy", "simpson", "distinct_categories")
_log = logging.getLogger(__name__)


def difference_of_list_diversity(
    exposures: pd.DataFrame,
    users: pd.DataFrame,
    catalogue: pd.DataFrame,
    arms: tuple[str, str],
    list_column: str | None = None,
    level: float = LEVEL,
) -> dict[str, Effect]:
    """Difference between two arms of the mean over users of each measure of `list_diversity`.

    A user's value is the mean over the lists that the user was shown, for users were randomized, not lists. All three
    grow with the length of a list: unless both arms show as much, compare lists of one length.

    Args:
        exposures: rows user_id, item_id (and the list's column); an item shown twice counts twice.
        users: rows user_id, arm.
        catalogue: rows item_id, categories (a list of names an item).
        arms: control, treatment.
        list_column: what tells a user's lists apart, such as the timestamp; None = all that a user was shown is a list.
        level: of the intervals.

    Returns:
        effect by measure. Users who were shown nothing have no list: they are left out, and a warning counts them.

    Raises:
        ConfigError: not two arms, or a level not in (0, 1).
        DataError: a column or a value is missing, a user or item is in there twice, an item is not in the catalogue or
            has no category, or an arm has fewer than two users.
    """
    check_number("level", level, above=0, below=1)
    members = members_of(users, pair_of(arms))
    counted = exposures
    if USER_ID in exposures.columns:
        counted = exposures[
            exposures[USER_ID].isna() | exposures[USER_ID].isin(users.loc[users[ARM].isin(arms), USER_ID])
        ]
    values = list_diversity(counted, catalogue, list_column).groupby(USER_ID)[list(LIST_LEVEL)].mean()
    shown = [values[values.index.isin(index)] for index in members.values()]
    for arm, index, found in zip(members, members.values(), shown, strict=True):
        if len(found) < len(index):
            _log.warning("%s: %d users were shown nothing and are left out", arm, len(index) - len(found))
    return {
        name: difference_of_means(shown[0][name].to_numpy(), shown[1][name].to_numpy(), level) for name in LIST_LEVEL
    }


def list_diversity(exposures: pd.DataFrame, catalogue: pd.DataFrame, list_column: str | None = None) -> pd.DataFrame:
    """Diversity of each list by its shares q of categories; an item in two categories is split between them.

    The formulas are those of `divrec.measures`, under the names and in the direction of the metrics: entropy
    -sum_c q_c log q_c, in [0, log C]; simpson 1 - sum_c q_c^2, in [0, 1 - 1/C]; distinct_categories, the number of
    those with a share, in [1, C]. Higher is more diverse in all of them.

    Args:
        exposures: rows user_id, item_id (and the list's column).
        catalogue: rows item_id, categories (a list of names an item).
        list_column: what tells a user's lists apart; None = all that a user was shown is a list.

    Returns:
        rows user_id, (the list's column,) entropy, simpson, distinct_categories; one a list.

    Raises:
        DataError: a column or a value is missing, an item is in the catalogue twice or not at all, or has no category.
    """
    keys = [USER_ID] if list_column is None else [USER_ID, list_column]
    check_columns(exposures, "exposures", (*keys, ITEM_ID))
    places = _places(exposures[ITEM_ID], catalogue)
    groups = exposures.groupby(keys, sort=False)
    rows = groups.ngroup().to_numpy()
    listed_LN = sparse.csr_array(
        (np.ones(len(rows)), (rows, places)), shape=(groups.ngroups, len(catalogue)), dtype=np.float64
    )
    mass_LC = sparse.csr_array(listed_LN @ _categories(catalogue, np.unique(places)))
    distinct = np.diff(mass_LC.indptr)
    lists = np.repeat(np.arange(groups.ngroups), distinct)
    share = mass_LC.data / mass_LC.sum(1)[lists]
    entropy, concentration = (np.bincount(lists, weights=terms) for terms in (-share * np.log(share), share**2))
    found = exposures.loc[~exposures.duplicated(keys), keys].reset_index(drop=True)
    return found.assign(entropy=entropy, simpson=1 - concentration, distinct_categories=distinct.astype(np.float64))


def _places(items: pd.Series, catalogue: pd.DataFrame) -> np.ndarray:
    """Row of the catalogue of each item."""
    check_columns(catalogue, "catalogue", (ITEM_ID, CATEGORIES))
    if count := int(catalogue[ITEM_ID].duplicated().sum()):
        raise DataError(
            "items are there more than once", where="catalogue.item_id", got=count, mend="Keep one row each."
        )
    places = pd.Index(catalogue[ITEM_ID]).get_indexer(pd.Index(items))
    if (places < 0).any():
        raise DataError(
            "items that are not in the catalogue",
            where="exposures.item_id",
            got=sorted(map(str, set(items[places < 0])))[:5],
            mend="Give the catalogue of the time of the experiment.",
        )
    return places


def _categories(catalogue: pd.DataFrame, needed: np.ndarray) -> sparse.csr_array:
    """A: rows of the items that are needed sum to 1, the others are empty."""
    labels = catalogue[CATEGORIES].reset_index(drop=True).iloc[needed]
    if any(isinstance(names, str) for names in labels):
        raise DataError("categories are lists of names", where="catalogue.categories", mend="Write ['tea'], not 'tea'.")
    if bare := [
        str(catalogue[ITEM_ID].iloc[place]) for place, names in zip(needed, labels, strict=True) if not len(names)
    ]:
        raise DataError(
            "items without a category",
            where="catalogue.categories",
            got=bare[:5],
            mend="Give them one, such as the number of a cluster.",
        )
    single = labels.explode()
    codes, names = pd.factorize(single)
    weights = 1 / labels.map(len).reindex(single.index).to_numpy(np.float64)
    return sparse.csr_array((weights, (single.index.to_numpy(), codes)), shape=(len(catalogue), len(names)))
