"""From logs to users: who counts, and which logs are refused."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from divrec.analysis.abtest import experiment_users
from divrec.errors import DataError

ARMS = ("control", "treatment")
ASSIGNMENTS = pd.DataFrame(
    {
        "user_id": ["a", "b", "c", "c", "d", "a"],
        "arm": ["control", "treatment", "control", "treatment", "control", "control"],
    }
)
EXPOSURES = pd.DataFrame({"user_id": ["a", "a", "b", "c", "x"], "timestamp": [5, 3, 4, 4, 1]})
OUTCOMES = pd.DataFrame(
    {"user_id": ["a", "a", "a", "b", "d"], "timestamp": [2, 3, 9, 1, 7], "value": [10.0, 1.0, 2.0, 5.0, 3.0]}
)


def test_exposed_users_with_what_came_before_and_after() -> None:
    users = experiment_users(ASSIGNMENTS, EXPOSURES, OUTCOMES, ARMS)
    table = users.table.set_index("user_id")
    assert table.index.tolist() == ["a", "b"]
    assert table.loc["a", ["outcome", "before"]].tolist() == [3, 10]  # exposed at 3: that event counts as after
    assert table.loc["b", ["outcome", "before"]].tolist() == [0, 5]
    assert users.assigned == {"control": 2, "treatment": 1}
    assert users.left_out == {
        "in several arms": 1,
        "never exposed": 1,
        "exposed without an assignment": 1,
        "outcomes without an assignment": 0,
    }
    assert users.arm("control").tolist() == [3]


def test_datetimes_are_timestamps_too() -> None:
    dated = [frame.assign(timestamp=pd.to_datetime(frame["timestamp"], unit="D")) for frame in (EXPOSURES, OUTCOMES)]
    plain = experiment_users(ASSIGNMENTS, EXPOSURES, OUTCOMES, ARMS).table
    assert experiment_users(ASSIGNMENTS, *dated, ARMS).table.equals(plain)


def test_broken_logs_are_refused() -> None:
    with pytest.raises(DataError, match="unknown arms"):
        experiment_users(ASSIGNMENTS, EXPOSURES, OUTCOMES, ("control", "other"))
    with pytest.raises(DataError, match="columns missing"):
        experiment_users(ASSIGNMENTS, EXPOSURES.drop(columns="timestamp"), OUTCOMES, ARMS)
    with pytest.raises(DataError, match="values missing"):
        experiment_users(ASSIGNMENTS, EXPOSURES, OUTCOMES.assign(value=math.nan), ARMS)


def test_outcomes_of_unknown_users_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    strangers = pd.DataFrame({"user_id": ["y", "y", "z"], "timestamp": [4, 5, 6], "value": [1.0, 1.0, 1.0]})
    users = experiment_users(ASSIGNMENTS, EXPOSURES, pd.concat([OUTCOMES, strangers]), ARMS)
    assert users.left_out["outcomes without an assignment"] == 2
    assert "2 users are left out: outcomes without an assignment" in caplog.text
    assert users.table.equals(experiment_users(ASSIGNMENTS, EXPOSURES, OUTCOMES, ARMS).table)


DATES = pd.to_datetime(pd.Series([5, 3, 4, 4, 1]), unit="D")


@pytest.mark.parametrize(
    ("times", "match"),
    [
        (DATES, "time in different ways"),
        (DATES.dt.tz_localize("UTC"), "time in different ways"),
        (DATES.dt.strftime("%Y-%m-%d"), r"exposures\.timestamp: times are numbers or datetimes; got \['str'\]"),
        (pd.Series([5, 3, *DATES[:3]], dtype=object), "numbers or datetimes; got .*Timestamp.*int"),
        (DATES.dt.date, r"numbers or datetimes; got \['date'\]"),
    ],
)
def test_times_that_cannot_be_compared_are_refused(times: pd.Series, match: str) -> None:
    with pytest.raises(DataError, match=match):
        experiment_users(ASSIGNMENTS, EXPOSURES.assign(timestamp=times), OUTCOMES, ARMS)


def test_time_zones_are_not_mixed() -> None:
    plain, zoned = (
        frame.assign(timestamp=pd.to_datetime(frame["timestamp"], unit="D")) for frame in (EXPOSURES, OUTCOMES)
    )
    zoned["timestamp"] = zoned["timestamp"].dt.tz_localize("Asia/Shanghai")
    with pytest.raises(DataError, match="datetimes with a time zone"):
        experiment_users(ASSIGNMENTS, plain, zoned, ARMS)


def test_values_are_numbers_and_no_outcomes_are_zeros() -> None:
    with pytest.raises(DataError, match=r"outcomes\.value: values are numbers"):
        experiment_users(ASSIGNMENTS, EXPOSURES, OUTCOMES.assign(value="3"), ARMS)
    nothing = experiment_users(ASSIGNMENTS, EXPOSURES, pd.DataFrame(columns=["user_id", "timestamp", "value"]), ARMS)
    assert nothing.table["outcome"].tolist() == [0, 0]
    with pytest.raises(DataError, match="unknown arms"):
        experiment_users(ASSIGNMENTS.assign(arm=[1, "x", "y", "z", 2, 1]), EXPOSURES, OUTCOMES, ARMS)
