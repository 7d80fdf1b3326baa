"""Two processes with unequal numbers of users train as one does. The file is the other process too."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from divrec.batch import Catalogue
from divrec.objectives import Coverage, ExposureGini, SoftTopK

ITEMS, USERS, STEPS = 40, 12, 4
PARTS = {1: [0, 12], 2: [0, 5, 12]}  # bounds of each process's users
KINDS = {"gini": ExposureGini, "coverage": Coverage}


def _train(place: int, processes: int) -> dict[str, torch.Tensor]:
    """A score an item and user, moved against the gradient as DDP would: averaged over the processes."""
    zeros_N = torch.zeros(ITEMS, dtype=torch.long)
    catalogue = Catalogue(torch.ones(ITEMS, 1), zeros_N.unsqueeze(-1), torch.ones(ITEMS, 1), 1, zeros_N)
    users = slice(*PARTS[processes][place : place + 2])
    left = {}
    for name, kind in KINDS.items():
        regularizer, relaxation = kind(catalogue, rate=0.9).double(), SoftTopK(5, width=0.3, top=20)
        taste_UN = torch.randn(USERS, ITEMS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        bias_N = torch.linspace(1, 0, ITEMS, dtype=torch.float64).requires_grad_()
        for _ in range(STEPS):
            value = regularizer(relaxation(bias_N + taste_UN[users]), None)
            (gradient_N,) = torch.autograd.grad(value, bias_N)
            if processes > 1:
                dist.all_reduce(gradient_N)
                gradient_N /= processes
            left[f"{name}/value"] = value.detach()
            with torch.no_grad():
                bias_N -= gradient_N
        left |= {f"{name}/bias": bias_N.detach(), f"{name}/memory": regularizer.memory.exposure()}
    return left


def _work(place: int, processes: int, folder: Path) -> None:
    meet, patience = f"file://{folder / 'meet'}", timedelta(seconds=120)
    dist.init_process_group("gloo", init_method=meet, rank=place, world_size=processes, timeout=patience)
    try:
        torch.save(_train(place, processes), folder / f"{place}.pt")
    finally:
        dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    other = subprocess.Popen([sys.executable, __file__, "1", "2", str(tmp_path)], env=environment)
    _work(0, 2, tmp_path)
    assert other.wait(timeout=120) == 0
    alone = _train(0, 1)
    start_N = torch.linspace(1, 0, ITEMS, dtype=torch.float64)
    assert all((alone[f"{name}/bias"] - start_N).abs().max() > 0.01 for name in KINDS), "the guard: it has moved"
    for place in range(2):
        found = torch.load(tmp_path / f"{place}.pt")
        for name, expected in alone.items():
            assert torch.allclose(found[name], expected, rtol=1e-9), name


if __name__ == "__main__":
    _work(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
