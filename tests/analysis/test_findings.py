"""What is chosen on each measure, and which conclusions hold on which of them."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from divrec.analysis import FrontSummary
from divrec.analysis.axes import joint_key
from divrec.analysis.axis_findings import axis_finding
from divrec.analysis.comparison import Setting
from divrec.analysis.conclusions import BEATS, GAINS, SHIPS, Conclusion, conclusions
from divrec.analysis.group_front import GroupFront
from divrec.analysis.statistics import Interval
from divrec.schema import TEST, VALIDATION


@pytest.fixture(scope="module")
def front(built: FrontSummary) -> GroupFront:
    return built.groups[0]


@pytest.fixture(scope="module")
def content(built: FrontSummary) -> dict:
    return json.loads((built.folder / "front.json").read_text())


def test_each_measure_has_its_own_operating_point(front: GroupFront) -> None:
    assert front.findings.keys() == {axis.key for axis in front.axes}
    for axis in front.axes:
        chosen = front.findings[axis.key].operating
        assert front.share(chosen, VALIDATION) >= 0.95
        rivals = [s for s in front.settings if s.first.selectable and front.share(s, VALIDATION) >= 0.95]
        assert chosen.value(axis, VALIDATION) == max(s.value(axis, VALIDATION) for s in rivals)
    assert front.findings["ilmd@10"].operating.name.startswith("control/mmr")
    assert 0 < front.findings["1-gini@10"].stability <= 1


def test_matched_accuracy_by_real_points_keeps_the_share(front: GroupFront) -> None:
    finding = front.findings["1-gini@10"]
    assert list(finding.matched) == [0.99, 0.98, 0.95, 0.9]
    diversities = []
    for share, setting in finding.matched.items():
        assert setting is not None
        assert front.share(setting, VALIDATION) >= share
        diversities.append(setting.value(finding.axis, VALIDATION))
    assert diversities == sorted(diversities)
    assert finding.matched[0.95] is finding.operating


def test_steps_lead_along_the_front(front: GroupFront) -> None:
    for finding in front.findings.values():
        assert finding.steps[0].start is front.control
        for before, after in zip(finding.steps[:-1], finding.steps[1:], strict=True):
            assert before.end is after.start
        for step in finding.steps:
            assert step.end.name in front.on_front[finding.axis.key]
            assert step.end.value(finding.axis, VALIDATION) > step.start.value(finding.axis, VALIDATION)
            assert step.gained == pytest.approx(
                step.end.value(finding.axis, TEST) - step.start.value(finding.axis, TEST)
            )
    costly = [step.price for step in front.findings["1-gini@10"].steps if step.price.known]
    assert costly
    assert costly[-1].low > 0


def test_intervals_hold_the_estimates(content: dict) -> None:
    assert content["bootstrap"] == {"over": "users and seeds", "replicates": 60, "seed": 0}
    for key, intervals in content["intervals"].items():
        assert intervals.keys() == {"mean", "at_99", "at_98", "at_95", "at_90", "hypervolume"}
        assert intervals["mean"]["estimate"] == pytest.approx(content["mean_gain"][key]["test"])
        assert intervals["hypervolume"]["estimate"] == pytest.approx(content["hypervolume"][key]["test"])
        for interval in intervals.values():
            assert interval["low"] <= interval["high"]
    gini = content["intervals"]["1-gini@10"]["mean"]
    assert 0 < gini["low"] < gini["estimate"] < gini["high"]


def test_two_measures_are_judged_at_once(front: GroupFront, content: dict) -> None:
    keys = [joint_key(axes) for axes in front.joints]
    assert keys == ["1-gini@10+simpson@10", "1-gini@10+ilad@10", "1-gini@10+ilmd@10"]
    assert set(keys) < content["hypervolume"].keys()
    assert all(set(keys) < series["gains"].keys() for series in content["series"].values())


def test_conclusions_name_where_they_hold(front: GroupFront) -> None:
    found = {(c.kind, c.subject, c.rival): c for c in conclusions(front)}
    gini = found[GAINS, "gini", ""]
    assert "1-gini@10" in gini.holds
    assert "ilmd@10" not in gini.holds
    assert not gini.everywhere
    against = found[BEATS, "gini", "mmr on control"]
    assert against.verdict("1-gini@10") == 1
    assert against.verdict("ilmd@10") == -1
    assert (SHIPS, front.operating.name, "") in found
    assert not [key for key in found if key[0] == BEATS and key[1] == "gini_overlap"]  # it does nothing


def test_verdicts() -> None:
    intervals = {"a": Interval(1.0, 0.5, 2.0), "b": Interval(-1.0, -2.0, -0.5), "c": Interval(0.1, -1.0, 1.0)}
    claim = Conclusion(GAINS, "x", "", intervals | {"d": Interval(1.0)})
    assert [claim.verdict(key) for key in "abcd"] == [1, -1, 0, 0]
    assert claim.holds == ("a",)
    assert Conclusion(GAINS, "x", "", {"a": intervals["a"]}).everywhere


def test_float_noise_is_no_finding() -> None:
    noise = {"a": Interval(3e-9, 1e-9, 5e-9), "b": Interval(-4e-4, -5e-4, -3e-4)}
    assert not Conclusion(GAINS, "x", "", noise, {"a": 6, "b": 3}).holds
    assert [Conclusion(GAINS, "x", "", noise, {"a": 6, "b": 4}).verdict(key) for key in "ab"] == [0, -1]


def test_without_replicates_nothing_is_claimed(front: GroupFront) -> None:
    bare = [replace(setting, replicates={}) for setting in front.settings if setting.first.selectable]
    control = next(setting for setting in bare if setting.name == "control")
    finding = axis_finding(bare, control, front.accuracy, front.axes[0])
    assert math.isnan(finding.stability)
    assert finding.operating.name == front.operating.name
    assert not any(step.price.known for step in finding.steps)


def test_the_knee_has_a_place_with_an_interval_and_a_stability(front: GroupFront, content: dict) -> None:
    finding = front.findings["1-gini@10"]
    assert finding.knee is not None
    assert 0 < finding.knee_stability <= 1
    told = content["findings"]["1-gini@10"]
    assert (told["knee"], told["knee_chosen_again"]) == (finding.knee.name, finding.knee_stability)
    for key, axis in (("ndcg@10", front.accuracy), ("1-gini@10", finding.axis)):
        place = told["knee_at"][key]
        assert place["estimate"] == pytest.approx(finding.knee.value(axis, TEST))
        assert place["low"] < place["estimate"] < place["high"]


def test_the_stability_of_a_knee_counts_replicates_with_the_same_knee(front: GroupFront) -> None:
    accuracy, axis, first = front.accuracy, front.axes[0], front.control.points

    def setting(name: str, ndcg: float, gini: float, drawn: list[float]) -> Setting:
        values = {
            f"{split}/{key}": v for split in (VALIDATION, TEST) for key, v in (("ndcg@10", ndcg), ("gini@10", gini))
        }
        replicates = {key: np.full(4, value) for key, value in values.items()}
        return Setting(name, first, values, {}, replicates=replicates | {"validation/ndcg@10": np.array(drawn)})

    control, last = setting("control", 0.4, 0.9, [0.4] * 4), setting("last", 0.34, 0.5, [0.34] * 4)
    near, far = (
        setting("near", 0.39, 0.8, [0.39, 0.39, 0.39, 0.399]),
        setting("far", 0.38, 0.6, [0.38, 0.38, 0.35, 0.35]),
    )
    finding = axis_finding([control, near, far, last], control, accuracy, axis)
    assert finding.knee is far
    assert finding.knee_stability == 0.5
    bare = [replace(each, replicates={}) for each in (control, near, far, last)]
    assert math.isnan(axis_finding(bare, bare[0], accuracy, axis).knee_stability)
    straight = axis_finding([control, last], control, accuracy, axis)
    assert straight.knee is None
    assert math.isnan(straight.knee_stability)


def test_stability_counts_the_same_choice(front: GroupFront) -> None:
    accuracy, axis = front.accuracy, front.axes[0]
    own = {"validation/ndcg@10": 0.4, "validation/gini@10": 0.9, "test/ndcg@10": 0.4, "test/gini@10": 0.9}
    better = own | {"validation/gini@10": 0.8}
    drawn = {name: np.full(4, value) for name, value in own.items()}
    first = front.control.points
    control = Setting("control", first, own, {}, replicates=drawn)
    half = drawn | {"validation/gini@10": np.array([0.8, 0.8, 0.8, 0.95])}
    other = Setting("other", first, better, {}, replicates=half)
    finding = axis_finding([control, other], control, accuracy, axis)
    assert finding.operating is other
    assert finding.stability == 0.75


@pytest.mark.parametrize(("own", "digits"), [(0.4, 4), (0.004, 5), (2e-6, 7), (5e-8, 4), (0.0, 4)])
def test_small_values_have_more_decimals_but_noise_has_not(front: GroupFront, own: float, digits: int) -> None:
    control = replace(front.control, values=front.control.values | {"test/ilmd@10": own})
    axis = next(axis for axis in front.axes if axis.name == "ilmd")
    assert replace(front, control=control).digits(axis) == digits
