"""Three processes with unequal numbers of users compute what one does. The file is the other processes too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.nn.functional import normalize

from divrec.batch import Catalogue
from divrec.metrics import GroupMetrics, SlateMetrics
from divrec.ranking import deliver, rank

SIZE, USERS = 30, 11
PARTS = {1: [0, 11], 3: [0, 1, 7, 11]}  # bounds of each process's users


def _metrics() -> tuple[SlateMetrics, GroupMetrics]:
    generator = torch.Generator().manual_seed(0)
    vectors_ND = normalize(torch.randn(SIZE, 4, generator=generator), dim=-1)
    categories_NJ = torch.randint(0, 5, (SIZE, 1), generator=generator)
    counts_N = torch.randint(0, 9, (SIZE,), generator=generator)
    catalogue = Catalogue(vectors_ND, categories_NJ, torch.ones(SIZE, 1), 5, counts_N)
    metrics = SlateMetrics(catalogue, (3, 5))
    return metrics, GroupMetrics(catalogue, metrics.sizes, metrics.names)


def _values(place: int, processes: int) -> dict[str, float]:
    """All values, over all processes, as one of them computes them."""
    metrics, groups = _metrics()
    users = slice(*PARTS[processes][place : place + 2])
    generator = torch.Generator().manual_seed(1)
    scores_BN = torch.randint(0, 9, (USERS, SIZE), generator=generator).float()[users]
    targets_BT = torch.randint(-1, SIZE, (USERS, 1), generator=generator)[users]
    seen_BS = torch.randint(0, SIZE + 1, (USERS, 3), generator=generator)[users]
    ranking = rank(scores_BN, targets_BT, seen_BS, 10, torch.arange(SIZE))
    values = metrics.update(ranking, deliver(ranking, 5), seen_BS, (seen_BS < SIZE).float())
    groups.update(ranking, deliver(ranking, 5), seen_BS, values)
    by_group = {f"{v.grouping}/{v.group}/{v.metric}": v.value for v in groups.values()}
    return metrics.compute() | by_group


def _work(place: int, processes: int, folder: Path) -> None:
    meet, patience = f"file://{folder / 'meet'}", timedelta(seconds=120)
    dist.init_process_group("gloo", init_method=meet, rank=place, world_size=processes, timeout=patience)
    try:
        (folder / f"{place}.json").write_text(json.dumps(_values(place, processes)))
    finally:
        dist.destroy_process_group()


@pytest.mark.slow
def test_three_processes_equal_one(tmp_path: Path) -> None:
    processes = 3
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    others = [
        subprocess.Popen([sys.executable, __file__, str(place), str(processes), str(tmp_path)], env=environment)
        for place in range(1, processes)
    ]
    _work(0, processes, tmp_path)
    assert [other.wait(timeout=120) for other in others] == [0] * (processes - 1)
    alone = _values(0, 1)
    assert len(alone) > 300
    for place in range(processes):
        found = json.loads((tmp_path / f"{place}.json").read_text())
        assert found == pytest.approx(alone, rel=1e-9, nan_ok=True)


if __name__ == "__main__":
    _work(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
