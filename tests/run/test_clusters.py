"""Clusters that stand in for categories."""

import pytest
import torch

from divrec.run.clusters import cluster_items


def _blobs(groups: int = 6, each: int = 30, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centers = torch.nn.functional.normalize(torch.randn(groups, 16, generator=generator), dim=-1)
    labels = torch.arange(groups).repeat_interleave(each)
    points = centers[labels] + 0.05 * torch.randn(groups * each, 16, generator=generator)
    return torch.nn.functional.normalize(points, dim=-1), labels


def test_separate_groups_are_found() -> None:
    vectors, truth = _blobs()
    found = cluster_items(vectors, 6)
    assert len({(int(one), int(other)) for one, other in zip(found, truth, strict=True)}) == 6


def test_the_seed_decides_and_numbers_have_no_gaps() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(300, 8), dim=-1)
    first = cluster_items(vectors, 20, seed=3)
    assert torch.equal(first, cluster_items(vectors, 20, seed=3))
    assert not torch.equal(first, cluster_items(vectors, 20, seed=4))
    assert sorted(set(first.tolist())) == list(range(int(first.max()) + 1))
    assert first.dtype == torch.int64


@pytest.mark.parametrize("count", [1, 2, 50])
def test_no_more_clusters_than_distinct_vectors(count: int) -> None:
    vectors, _ = _blobs(groups=2, each=1)
    found = cluster_items(vectors.repeat(10, 1), count)
    assert int(found.max()) + 1 == min(count, 2)
    assert torch.equal(found[:2].repeat(10), found)
