"""Which measures a front is drawn on, and the size of the lists."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from divrec.analysis import read_record
from divrec.analysis.axes import Axis, diversity_axes, list_size
from divrec.errors import RecordError
from divrec.schema import RunRecord


@pytest.fixture
def control(written_sweep: Path) -> RunRecord:
    return read_record(written_sweep / "control")


def measured(control: RunRecord, metrics: dict[str, float], k: int | None = None) -> RunRecord:
    return replace(control, metrics={"validation": metrics, "test": metrics}, config={} if k is None else {"k": k})


def test_exposure_leads_and_all_point_upward(control: RunRecord) -> None:
    axes = diversity_axes(control, 10)
    assert [axis.key for axis in axes] == [
        "1-gini@10",
        "coverage@10",
        "simpson@10",
        "ilad@10",
        "ilmd@10",
        "1-overlap@10",
    ]
    assert axes[0].turned(0.9) == pytest.approx(0.1)
    assert axes[1].turned(0.9) == 0.9


def test_what_was_not_measured_is_no_axis(control: RunRecord) -> None:
    axes = diversity_axes(measured(control, {"ndcg@5": 0.1, "ilad@5": 0.5, "gini@5": math.nan}), 5)
    assert axes == (Axis("ilad@5", "Average text distance (ILAD) @5", "ILAD"),)
    with pytest.raises(RecordError, match="no diversity measure"):
        diversity_axes(measured(control, {"ndcg@5": 0.1}), 5)


def test_list_size_is_the_configured_one(control: RunRecord) -> None:
    metrics = {"ndcg@5": 0.1, "ndcg@20": 0.2}
    assert list_size(measured(control, metrics, k=20)) == 20
    assert list_size(measured(control, metrics)) == 5
    assert list_size(measured(control, metrics, k=7)) == 5


@pytest.mark.parametrize("metrics", [{}, {"recall@10": 0.1}, {"ndcg@10": math.nan}])
def test_no_accuracy_is_an_error(control: RunRecord, metrics: dict[str, float]) -> None:
    with pytest.raises(RecordError, match="ndcg@k") as caught:
        list_size(measured(control, metrics))
    assert "Evaluate the control" in str(caught.value)
