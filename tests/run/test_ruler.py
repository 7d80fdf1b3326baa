"""A run's ruler: the same under rounding and rotation, another for other vectors or categories; who reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from divrec.analysis.rulers import RULERS, measured_with
from divrec.batch import Catalogue
from divrec.metrics import SlateMetrics
from divrec.run.ruler import ruler
from metrics.world import World
from run.tiny import record_of, tiny_shop

__all__ = ["tiny_shop"]

CATALOGUE = World.make().catalogue
ITEMS, WIDTH = CATALOGUE.vectors_ND.shape


def _noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _other_vectors(catalogue: Catalogue) -> Catalogue:
    return replace(catalogue, vectors_ND=torch.nn.functional.normalize(_noise(7, ITEMS, WIDTH), dim=-1))


def _other_categories(catalogue: Catalogue) -> Catalogue:
    moved = {name: getattr(catalogue, name).roll(1, 0) for name in ("categories_NJ", "category_weights_NJ")}
    return replace(catalogue, **moved)


def test_rounding_rotation_and_number_formats_are_no_other_ruler() -> None:
    vectors_ND = CATALOGUE.vectors_ND
    rotation, _ = torch.linalg.qr(_noise(1, WIDTH, WIDTH))
    for moved in (vectors_ND.float(), vectors_ND + 1e-6 * _noise(2, ITEMS, WIDTH), vectors_ND @ rotation):
        assert ruler(replace(CATALOGUE, vectors_ND=moved)) == ruler(CATALOGUE)


def test_items_with_one_text_do_not_break_ties_by_rounding() -> None:
    alike = CATALOGUE.vectors_ND[:1].expand(ITEMS, -1)
    hashes = {ruler(replace(CATALOGUE, vectors_ND=alike + 1e-6 * _noise(s, ITEMS, WIDTH)))["vectors"] for s in range(5)}
    assert len(hashes) == 1


def test_other_vectors_or_categories_are_another_ruler() -> None:
    own, vectors, categories = map(ruler, (CATALOGUE, _other_vectors(CATALOGUE), _other_categories(CATALOGUE)))
    assert own["vectors"] != vectors["vectors"]
    assert own["categories"] == vectors["categories"]
    assert own["categories"] != categories["categories"]
    assert own["vectors"] == categories["vectors"]
    halves = replace(CATALOGUE, category_weights_NJ=CATALOGUE.category_weights_NJ.flip(-1))
    assert ruler(halves)["categories"] != own["categories"]


@pytest.mark.parametrize("name", RULERS)
def test_the_metrics_that_a_ruler_moves_are_those_that_are_said_to_read_it(name: str) -> None:
    other = {"vectors": _other_vectors, "categories": _other_categories}[name](CATALOGUE)
    values = []
    for catalogue in (CATALOGUE, other):
        metrics = SlateMetrics(catalogue, k=(3, 10))  # three items may all be of unlike categories, ten never
        World.make(users=50).measure(metrics)
        values.append(metrics.compute())
    names = {metric.partition("@")[0] for metric in values[0]}
    moved = {
        metric.partition("@")[0]
        for metric, value in values[0].items()
        if values[1][metric] != pytest.approx(value, nan_ok=True)
    }
    assert moved == {metric for metric in names if name in measured_with(metric)}


def test_a_metric_of_somebody_else_may_read_both() -> None:
    assert measured_with("novelty@10") == set(RULERS)


def test_a_record_has_the_ruler_of_its_catalogue(tiny_shop, tmp_path) -> None:
    answer = tiny_shop.train(tmp_path / "run", "model=popular", "rerank=mmr", "rerank.mmr.diversity=0.5")
    assert answer.code == 0, answer.text
    own, derived = record_of(tmp_path / "run"), record_of(tmp_path / "run" / "points" / "mmr-0.5")
    assert {name: len(value) for name, value in own["data"]["ruler"].items()} == dict.fromkeys(RULERS, 24)
    assert derived["data"] == own["data"]
