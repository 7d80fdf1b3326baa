"""Set-level metrics: integer counts, added up before anything is computed."""

from __future__ import annotations

import pytest
import torch

from divrec.batch import Slate
from divrec.metrics import Coverage, ExposureGini


def _slate(*rows: list[int]) -> Slate:
    return Slate(torch.tensor(rows), torch.zeros(len(rows), len(rows[0])))


def test_counts_the_head_of_each_list() -> None:
    metric = Coverage(6, 2)
    metric.update(_slate([0, 1, 5], [1, -1, -1]))
    metric.update(_slate([1, 2, 4]))
    assert metric.exposure_N.tolist() == [1, 3, 1, 0, 0, 0]
    assert float(metric.compute()) == pytest.approx(3 / 6)


def test_exposure_gini_by_hand() -> None:
    even, one = ExposureGini(4, 2), ExposureGini(4, 2)
    even.update(_slate([0, 1], [2, 3]))
    one.update(_slate([3, -1], [3, -1]))
    assert float(even.compute()) == 0
    assert float(one.compute()) == pytest.approx(1 - 1 / 4)


def test_the_whole_is_not_the_mean_of_its_parts() -> None:
    first, second, whole = Coverage(4, 2), Coverage(4, 2), Coverage(4, 2)
    first.update(_slate([0, 1]))
    second.update(_slate([2, 3]))
    whole.update(_slate([0, 1], [2, 3]))
    assert float(first.compute()) == float(second.compute()) == 0.5
    assert float(whole.compute()) == 1


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_before_any_list() -> None:
    assert ExposureGini(4, 2).compute().isnan()
    assert float(Coverage(4, 2).compute()) == 0
