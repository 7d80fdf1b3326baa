"""What the arms were shown: set-level values on audiences of one size, lists by their categories."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from divrec import measures
from divrec.analysis.abtest import (
    LIST_LEVEL,
    difference_of_list_diversity,
    difference_of_set_diversity,
    diversity_shown,
    list_diversity,
)
from divrec.errors import ConfigError, DataError

ARMS = ("control", "treatment")
CATALOGUE = pd.DataFrame({"item_id": [f"i{n}" for n in range(100)], "categories": [[f"c{n % 10}"] for n in range(100)]})
USERS = pd.DataFrame({"user_id": [f"u{n}" for n in range(300)], "arm": ["control"] * 200 + ["treatment"] * 100})


def _exposures(users: pd.DataFrame, wide: int = 100, narrow: int = 30, seed: int = 0) -> pd.DataFrame:
    """Five items a user: of the first `wide` in the treated arm, of the first `narrow` in the other."""
    generator = np.random.default_rng(seed)
    rows = [
        {"user_id": user, "item_id": f"i{item}"}
        for user, arm in zip(users["user_id"], users["arm"], strict=True)
        for item in generator.permutation(wide if arm == "treatment" else narrow)[:5]
    ]
    return pd.DataFrame(rows)


def test_arms_are_measured_on_audiences_of_one_size() -> None:
    generator = np.random.default_rng(0)
    users = pd.DataFrame({"user_id": [f"u{n}" for n in range(300)], "arm": ["control"] * 200 + ["treatment"] * 100})
    rows = [
        {"user_id": user, "item_id": f"i{item}"}
        for user, arm in zip(users["user_id"], users["arm"], strict=True)
        for item in generator.permutation(100 if arm == "treatment" else 30)[:5]
    ]
    found = diversity_shown(pd.DataFrame(rows), users, ARMS, 100, generator, resamples=50)
    table = found.set_index(["arm", "measure"])
    assert set(found["users"]) == {50}
    assert table.loc[("treatment", "coverage"), "low"] > table.loc[("control", "coverage"), "high"]
    assert table.loc[("treatment", "gini"), "high"] < table.loc[("control", "gini"), "low"]
    alike = diversity_shown(pd.DataFrame(rows), users.assign(arm="control"), ("control",), 100, generator, resamples=20)
    assert set(alike["users"]) == {150}
    with pytest.raises(DataError, match="fewer than two"):
        diversity_shown(pd.DataFrame(rows), users, ("control", "nobody"), 100, generator)


def test_the_difference_of_sets_is_seen_and_none_is_not() -> None:
    generator = np.random.default_rng(1)
    found = difference_of_set_diversity(_exposures(USERS), USERS, ARMS, 100, generator).set_index("measure")
    assert set(found["users"]) == {100}
    assert found.loc["coverage", "low"] > 0.5
    assert found.loc["gini", "high"] < -0.2
    assert found.loc["effective_coverage", "low"] > 0.4
    assert np.allclose(found["treatment"] - found["control"], found["difference"])
    assert ((found["low"] < found["difference"]) & (found["difference"] < found["high"])).all()
    alike = difference_of_set_diversity(_exposures(USERS, 100, 100), USERS, ARMS, 100, generator)
    assert ((alike["low"] < 0) & (alike["high"] > 0)).all()


def test_arms_that_saw_the_same_do_not_differ() -> None:
    control = _exposures(USERS[:40].assign(arm="treatment"))  # few enough to leave items unseen
    twins = control.assign(user_id="twin-" + control["user_id"])
    users = pd.DataFrame({"user_id": pd.concat([control, twins])["user_id"].unique()})
    users["arm"] = np.where(users["user_id"].str.startswith("twin"), "treatment", "control")
    both = pd.concat([control, twins])
    sets = difference_of_set_diversity(both, users, ARMS, 100, np.random.default_rng(2))
    assert (sets["difference"] == 0).all()
    assert (sets["high"] > sets["low"]).all()
    for name, effect in difference_of_list_diversity(both, users, CATALOGUE, ARMS).items():
        assert effect.difference.estimate == pytest.approx(0, abs=1e-12), name


def test_lists_by_hand() -> None:
    catalogue = pd.DataFrame({"item_id": ["a", "b", "c"], "categories": [["tea"], ["tea", "gift"], ["milk"]]})
    shown = pd.DataFrame(
        {"user_id": ["u", "u", "v", "u", "u"], "item_id": ["a", "b", "c", "a", "c"], "time": [1, 1, 1, 2, 2]}
    )
    lists = list_diversity(shown, catalogue, "time").set_index(["user_id", "time"])
    # u at 1: tea 3/4, gift 1/4; u at 2: tea and milk by halves; v: milk alone
    assert lists.loc[("u", 1), "simpson"] == pytest.approx(1 - 10 / 16)
    assert lists.loc[("u", 1), "entropy"] == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    assert lists.loc[("u", 2), list(LIST_LEVEL)].tolist() == pytest.approx([math.log(2), 0.5, 2])
    assert lists.loc[("v", 1), list(LIST_LEVEL)].tolist() == pytest.approx([0, 0, 1])
    whole = list_diversity(shown, catalogue).set_index("user_id")
    assert whole.loc["u", "simpson"] == pytest.approx(1 - (2.5**2 + 0.5**2 + 1) / 16)


def test_lists_are_measured_by_the_formulas_of_measures() -> None:
    generator = np.random.default_rng(3)
    catalogue = pd.DataFrame(
        {"item_id": range(40), "categories": [list(generator.permutation(8)[: 1 + n % 3]) for n in range(40)]}
    )
    shown = pd.DataFrame({"user_id": np.repeat(np.arange(30), 7), "item_id": generator.integers(0, 40, 210)})
    belongs_NC = np.zeros((40, 8))
    for place, names in enumerate(catalogue["categories"]):
        belongs_NC[place, names] = 1 / len(names)
    share_BC = torch.from_numpy(belongs_NC[shown["item_id"].to_numpy().reshape(30, 7)].mean(1))
    found = list_diversity(shown, catalogue)
    assert found["user_id"].tolist() == list(range(30))
    assert np.allclose(found["entropy"], measures.entropy(share_BC))
    assert np.allclose(found["simpson"], 1 - measures.simpson(share_BC))
    assert np.allclose(found["distinct_categories"], measures.distinct_categories(share_BC))


def test_the_difference_of_lists_is_one_of_users(caplog: pytest.LogCaptureFixture) -> None:
    clustered = CATALOGUE.assign(categories=[[f"c{n // 10}"] for n in range(100)])  # 30 items = 3 categories
    silent = pd.concat([USERS, pd.DataFrame({"user_id": ["silent"], "arm": ["control"]})])
    strangers = pd.DataFrame({"user_id": ["stranger"], "item_id": ["unknown item"]})
    shown = pd.concat([_exposures(USERS), strangers])
    with caplog.at_level(logging.WARNING):
        effects = difference_of_list_diversity(shown, silent, clustered, ARMS)
    assert "control: 1 users were shown nothing" in caplog.text
    for effect in effects.values():
        assert effect.users == (200, 100)  # not their lists or items
        assert effect.difference.low > 0
    often = pd.concat([shown.assign(time=time) for time in range(4)])
    repeated = difference_of_list_diversity(often, silent, clustered, ARMS, list_column="time")
    assert repeated["entropy"].standard_error == pytest.approx(effects["entropy"].standard_error)


SHOWN = _exposures(USERS)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"exposures": SHOWN.drop(columns="item_id")}, DataError, r"exposures: columns missing; got \['item_id'\]"),
        ({"exposures": SHOWN.drop(columns="user_id")}, DataError, r"exposures: columns missing; got \['user_id'\]"),
        (
            {"exposures": SHOWN.assign(item_id=[None, *SHOWN["item_id"][1:]])},
            DataError,
            "item_id: values missing; got 1",
        ),
        (
            {"exposures": SHOWN.assign(user_id=[None, *SHOWN["user_id"][1:]])},
            DataError,
            "user_id: values missing; got 1",
        ),
        ({"users": USERS.drop(columns="arm")}, DataError, "users: columns missing"),
        ({"users": pd.concat([USERS, USERS[:3]])}, DataError, "more than once; got 3"),
        ({"arms": ("control", "nobody")}, DataError, "fewer than two users"),
        ({"level": 1.0}, ConfigError, "level"),
        ({"level": math.nan}, ConfigError, "level"),
    ],
)
def test_what_cannot_be_measured_is_refused(changes: dict[str, Any], error: type[Exception], match: str) -> None:
    given: dict[str, Any] = {"exposures": SHOWN, "users": USERS, "arms": ARMS} | changes
    sets = given | {"items": 100, "generator": np.random.default_rng(0)}
    for function, arguments in (
        (diversity_shown, sets),
        (difference_of_set_diversity, sets),
        (difference_of_list_diversity, given | {"catalogue": CATALOGUE}),
    ):
        with pytest.raises(error, match=match):
            function(**arguments)


def test_arms_and_sizes_that_make_no_sense_are_refused() -> None:
    generator = np.random.default_rng(0)
    for function in (diversity_shown, difference_of_set_diversity):
        with pytest.raises(ConfigError, match="smaller than the 100 items shown"):
            function(SHOWN, USERS, ARMS, 99, generator)
        with pytest.raises(ConfigError, match="resamples"):
            function(SHOWN, USERS, ARMS, 100, generator, resamples=0)
    with pytest.raises(ConfigError, match="arms"):
        diversity_shown(SHOWN, USERS, (), 100, generator)
    arms: Any
    for arms in (("control",), ("control", "control"), (*ARMS, "third"), "ab"):
        with pytest.raises(ConfigError, match="two arms"):
            difference_of_set_diversity(SHOWN, USERS, arms, 100, generator)
        with pytest.raises(ConfigError, match="two arms"):
            difference_of_list_diversity(SHOWN, USERS, CATALOGUE, arms)


@pytest.mark.parametrize(
    ("catalogue", "match"),
    [
        (CATALOGUE.drop(columns="categories"), "catalogue: columns missing"),
        (CATALOGUE[5:], "not in the catalogue; got .*'i0'"),
        (pd.concat([CATALOGUE, CATALOGUE[:2]]), "more than once; got 2"),
        (CATALOGUE.assign(categories="tea"), "lists of names"),
        (CATALOGUE.assign(categories=[[], *CATALOGUE["categories"][1:]]), r"without a category; got \['i0'\]"),
        (CATALOGUE.assign(categories=[None, *CATALOGUE["categories"][1:]]), "categories: values missing; got 1"),
    ],
)
def test_catalogues_without_categories_are_refused(catalogue: pd.DataFrame, match: str) -> None:
    with pytest.raises(DataError, match=match):
        list_diversity(SHOWN, catalogue)
