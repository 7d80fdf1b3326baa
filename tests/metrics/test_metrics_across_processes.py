"""Two processes with unequal numbers of users compute what one computes. The file is the second process too."""

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
from divrec.metrics import SlateMetrics
from divrec.ranking import deliver, rank

SIZE, USERS = 30, 7


def _metrics() -> SlateMetrics:
    generator = torch.Generator().manual_seed(0)
    vectors_ND = normalize(torch.randn(SIZE, 4, generator=generator), dim=-1)
    categories_NJ = torch.randint(0, 5, (SIZE, 1), generator=generator)
    counts_N = torch.randint(0, 9, (SIZE,), generator=generator)
    return SlateMetrics(Catalogue(vectors_ND, categories_NJ, torch.ones(SIZE, 1), 5, counts_N), 5)


def _add(metrics: SlateMetrics, users: slice) -> None:
    generator = torch.Generator().manual_seed(1)
    scores_BN = torch.randn(USERS, SIZE, generator=generator)[users]
    targets_BT = torch.randint(-1, SIZE, (USERS, 1), generator=generator)[users]
    seen_BS = torch.randint(0, SIZE + 1, (USERS, 3), generator=generator)[users]
    ranking = rank(scores_BN, targets_BT, seen_BS, 10, torch.arange(SIZE))
    metrics.update(ranking, deliver(ranking, 5), seen_BS, (seen_BS < SIZE).float())


def _work(place: int, folder: Path) -> None:
    meet, patience = f"file://{folder / 'meet'}", timedelta(seconds=120)
    dist.init_process_group("gloo", init_method=meet, rank=place, world_size=2, timeout=patience)
    try:
        metrics = _metrics()
        _add(metrics, slice(0, 5) if place == 0 else slice(5, USERS))
        (folder / f"{place}.json").write_text(json.dumps(metrics.compute()))
    finally:
        dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    second = subprocess.Popen([sys.executable, __file__, "1", str(tmp_path)], env=environment)
    _work(0, tmp_path)
    assert second.wait(timeout=120) == 0
    alone = _metrics()
    _add(alone, slice(None))
    for place in (0, 1):
        assert json.loads((tmp_path / f"{place}.json").read_text()) == pytest.approx(alone.compute(), rel=1e-6)


if __name__ == "__main__":
    _work(int(sys.argv[1]), Path(sys.argv[2]))
