"""Metrics against values that LensKit and RecTools gave; their versions stand in the file, beside cases and values.

Values anew, in the environment that benchmarks/metric_parity.py describes: python benchmarks/metric_parity.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

GOLDEN = json.loads((Path(__file__).parent / "library_values.json").read_text(encoding="utf-8"))
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def parity() -> Iterator[tuple[ModuleType, ModuleType]]:
    """The benchmark's cases and relations; they need none of the libraries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        from parity import cases, relations

        yield cases, relations


@pytest.fixture(scope="module")
def own(parity):
    cases, relations = parity
    return {name: relations.Own.of(cases.Case.from_dict(content)) for name, content in GOLDEN["cases"].items()}


@pytest.mark.parametrize("kept", GOLDEN["values"])
def test_values_are_those_of_the_library(kept, own, parity) -> None:
    relation = next(each for each in parity[1].RELATIONS if kept.startswith(f"{each.library}, {each.call}, "))
    ours = own[kept.removeprefix(f"{relation.library}, {relation.call}, ")]
    values = ours.values[relation.ours] if relation.value is None else relation.value(ours)
    pairs = zip(GOLDEN["values"][kept], values.tolist(), strict=True)
    both = [(theirs, mine) for theirs, mine in pairs if theirs is not None and not math.isnan(mine)]
    assert len(both) >= (1 if len(values) == 1 else 3)
    equal = all(mine == pytest.approx(theirs, abs=1e-6) for theirs, mine in both)
    assert equal == (relation.value is not None), "a metric of another definition must not be called the same"


def test_equal_zeros_prove_nothing() -> None:
    for name, values in GOLDEN["values"].items():
        if name.endswith(("many relevant", "few items", "ties")):
            assert any(values), name


def test_every_metric_and_case_is_kept(parity) -> None:
    assert set(GOLDEN["versions"]) == {"lenskit", "rectools"}
    assert set(GOLDEN["cases"]) == set(parity[0].cases()) - {"random"}
    names = {f"{each.library}, {each.call}, {case}" for each in parity[1].RELATIONS for case in GOLDEN["cases"]}
    assert set(GOLDEN["values"]) == names
