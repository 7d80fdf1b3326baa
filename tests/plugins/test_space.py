"""The space of a search: what may be drawn, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from divrec.errors import ConfigError
from hydra_plugins.divrec_plugins._pruning import hopeless
from hydra_plugins.divrec_plugins._space import choices, corners, distributions, keys_of_the_base, overrides
from hydra_plugins.divrec_plugins._study import Search, Trial

pytest.importorskip("optuna")

OBJECTIVES = [{"metric": "ndcg@10", "direction": "maximize"}, {"metric": "gini@10", "direction": "minimize"}]


def test_ranges_and_choices():
    drawn = distributions(
        {
            "beta": {"low": 0.03, "high": 1, "log": True},
            "schedule.steps": {"low": 50, "high": 200, "step": 50},
            "diversity": ["gini", ["gini", "simpson"]],
        }
    )
    assert (drawn["beta"].low, drawn["beta"].high, drawn["beta"].log) == (0.03, 1.0, True)
    assert type(drawn["schedule.steps"]).__name__ == "IntDistribution"
    assert drawn["schedule.steps"].step == 50
    assert drawn["diversity"].choices == ("gini", "[gini,simpson]")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ([], "has no choices"),
        (0.3, "neither choices nor a range"),
        ({"low": 1}, "neither choices nor a range"),
        ({"low": 1, "high": 2, "middle": 1.5}, "neither choices nor a range"),
        ({"low": 2.0, "high": 1.0}, "is no range"),
        ({"low": 0.0, "high": 1.0, "log": True}, "is no range"),
        ({"low": "a", "high": "b"}, "is no range"),
    ],
)
def test_an_entry_that_cannot_be_drawn_from_is_refused(entry, said):
    with pytest.raises(ConfigError, match=said):
        distributions({"beta": entry})


def test_an_empty_space_is_refused():
    with pytest.raises(ConfigError, match="nothing to search"):
        distributions({})


def test_only_choices_may_change_the_base():
    space = {"diversity": ["gini"], "relaxation.width": {"low": 0.1, "high": 1}, "tuning": ["frozen", "full"]}
    assert keys_of_the_base(space) == ["tuning"]
    assert keys_of_the_base({"+schedule.x": [1], "diversity/gini": [1], "user": ["mean"]}) == ["user"]
    with pytest.raises(ConfigError, match="each value needs a base of its own"):
        keys_of_the_base({"model.dropout": {"low": 0.1, "high": 0.5}})


@given(st.floats(1e-6, 1e6))
def test_an_override_has_all_digits_of_its_number(value):
    assert float(overrides({"beta": value})["beta"]) == value


def test_a_list_is_one_choice():
    assert choices(["gini", ["gini", "simpson"], 3]) == ["gini", "[gini,simpson]", 3]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trials": 0}, "trials"),
        ({"batch": 0}, "batch"),
        ({"startup": -1}, "startup"),
        ({"objectives": []}, "objectives"),
        ({"objectives": [{"metric": "ndcg@10", "direction": "up"}]}, "direction"),
        ({"objectives": [{"direction": "maximize"}]}, "metric"),
        ({"objectives": OBJECTIVES[::-1]}, "Put the accuracy first"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        Search(**({"trials": 5, "objectives": OBJECTIVES} | changes))


def test_without_a_floor_any_objective_may_be_first():
    assert Search(trials=5, objectives=OBJECTIVES[::-1], floor=None).directions == ["minimize", "maximize"]


def trial(beta: float, diversity: str = "gini", tuning: str = "frozen") -> Trial:
    return Trial(f"trial-{beta}", 0, {"beta": beta, "diversity": diversity, "tuning": tuning})


@pytest.mark.parametrize(
    ("drawn", "floor", "hopeless_too"),
    [
        (trial(1.0), 0.8, True),
        (trial(0.5), 0.8, True),
        (trial(0.4), 0.8, False),  # a smaller beta may keep more
        (trial(1.0, "simpson"), 0.8, False),
        (trial(1.0, tuning="full"), 0.8, False),
        (trial(1.0), 0.7, False),  # the floor was not reached
        (trial(1.0), None, False),
    ],
)
def test_only_larger_betas_of_what_fell_below_the_floor_are_given_up(drawn, floor, hopeless_too):
    finished = [(trial(0.5), [0.075, 0.5]), (trial(0.1), [0.1, 0.9])]
    assert bool(hopeless(drawn, finished, 0.1, (["tuning"], floor))) == hopeless_too
    assert not hopeless(drawn, finished, None, (["tuning"], floor)), "without a control nothing is known"


def test_trials_from_before_beta_joined_the_space_say_nothing_of_a_beta():
    before = Trial("trial-0", 0, {"diversity": "gini", "tuning": "frozen"})
    assert not hopeless(trial(1.0), [(before, [0.01, 0.5])], 0.1, (["tuning"], 0.8))
    assert hopeless(trial(1.0), [(before, [0.01, 0.5]), (trial(0.5), [0.01, 0.5])], 0.1, (["tuning"], 0.8))


def test_every_choice_and_both_ends_of_every_range_are_in_a_corner():
    space = {"diversity": ["gini", ["gini", "simpson"]], "beta": {"low": 0.1, "high": 2.0}, "seed": [0]}
    assert corners(space) == [
        {"diversity": "gini", "beta": "0.1", "seed": "0"},
        {"diversity": "[gini,simpson]", "beta": "0.1", "seed": "0"},
        {"diversity": "gini", "beta": "2.0", "seed": "0"},
    ]
