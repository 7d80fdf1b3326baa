"""Two processes (DDP) that share every batch train a language model as one does. The file is those processes too."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from pytorch_lightning.strategies import DDPStrategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from divrec.models import Full, Lora, TableSettings, TextEncoder
from divrec.models.encoder import text_vectors
from divrec.objectives import BinaryCrossEntropy
from divrec.training import Schedule, fit
from divrec.training.tables import text_tables
from models.conftest import WORDS, save_tiny
from shared_once import made_once
from training.sharded_shop import text_module, without_dropout
from training.shop import MONITOR, Log, open_shop
from training.two_processes import meet, run_twice, trainer_of

TEXTS = [f"{first} {second}" for first in WORDS for second in WORDS[:4]]  # one for each item of the shop
POINT = Schedule(steps=4, learning_rate=0.02, validate_every=2)
CASES: dict[str, dict[str, Any]] = {
    "live": {"tuning": Lora(rank=2, table=TableSettings("live", None, chunk=5))},
    "epoch": {"tuning": Lora(rank=2, cached_below_top=2, table=TableSettings("epoch", None))},
    "sampled": {"tuning": Full(TableSettings(2, None, chunk=5)), "task": partial(BinaryCrossEntropy, 9), "beta": 0.0},
    "limited": {"tuning": Lora(rank=2, table=TableSettings("epoch", 3))},
}
LIVE: dict[str, list[list[int]]] = {  # texts that the two processes name
    "one names none": [[], [7, 1, 4, 2, 9]],
    "one in common": [[3, 1], [1, 8, 0]],
    "fewer than processes": [[5], [5]],
    "none": [[], []],
}
POLICIES = ("epoch", "live")


def trained(name: str, folder: Path, devices: int) -> dict[str, Any]:
    """What a training logs, names as live texts, and ends in."""
    case, data, log = CASES[name], open_shop(folder), Log()
    module = text_module(data, folder / "bert", case["tuning"], POINT, case.get("beta", 1.0), TEXTS)
    if "task" in case:
        module.objective.task, module.objective.catalogue_size = case["task"](), data.manifest["items"]
    live: list[set[int]] = []
    (table,) = text_tables(module).values()
    handle = table.register_forward_pre_hook(
        lambda _, inputs: live.append(set(inputs[1].tolist())) if torch.is_grad_enabled() else None
    )
    trainer = trainer_of(case, devices, partial(DDPStrategy, broadcast_buffers=False), None)
    fitted = fit(module, data, trainer, [log], MONITOR, show_bar=False)
    handle.remove()
    logged = {f"{step}/{key}": value for step, row in log.rows for key, value in row.items() if key != "epoch"}
    weights = {key: value.clone() for key, value in module.state_dict().items()}
    return {"leads": fitted.leads, "weights": weights, "logged": logged, "live": live}


def tower_of(folder: Path, policy: str) -> nn.Module:
    """Ten texts, two of them at once, of a model that has moved away from its table."""
    encoder = TextEncoder(str(folder / "bert"))
    whitening, vectors_TW = text_vectors(encoder, WORDS, 4, folder / "tower")
    tower = without_dropout(
        Full(
            TableSettings(policy, None, chunk=2),
        )(encoder, WORDS, whitening, vectors_TW)
    )
    tower.table_TW += 0.1
    return tower


def weighing(rank: int) -> torch.Tensor:
    """What the loss of a process multiplies the vectors of the texts with."""
    return torch.randn(len(WORDS), 4, generator=torch.Generator().manual_seed(rank))


def stepped(folder: Path, policy: str, rank: int) -> dict[str, list[dict[str, torch.Tensor]]]:
    """Gradients of two steps, by case: torch's DDP fails in the second if the first lacked one."""
    found = {}
    for case, live in LIVE.items():
        tower = DistributedDataParallel(tower_of(folder, policy), broadcast_buffers=False)
        found[case] = []
        for _ in range(2):
            tower.zero_grad()
            (tower(None, torch.tensor(live[rank], dtype=torch.long)) * weighing(rank)).sum().backward()
            found[case].append({name: each.grad.clone() for name, each in tower.module.named_parameters()})
    return found


def work(folder: Path) -> None:
    """One of the two: gradients, then all trainings."""
    rank = meet(folder)
    found: dict[str, Any] = {policy: stepped(folder, policy, rank) for policy in POLICIES}
    dist.destroy_process_group()
    for name in CASES:
        meet(folder, f"meet for {name}")
        found[f"training, {name}"] = trained(name, folder, 2)
    torch.save(found, folder / f"{rank}.pt")


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> tuple[Path, list[dict[str, Any]]]:
    """What the two processes found."""

    def make(folder: Path) -> None:
        save_tiny(folder / "bert", "bert")
        for case in CASES.values():  # whatever is cached on disk is there
            text_module(open_shop(folder), folder / "bert", case["tuning"], POINT, 0.0, TEXTS)
        tower_of(folder, "epoch")
        run_twice(__file__, folder)

    folder = made_once(tmp_path_factory, "tuned-processes", make)
    return folder, [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("case", LIVE)
@pytest.mark.parametrize("policy", POLICIES)
def test_a_text_that_is_live_for_one_process_carries_the_gradient_of_all(policy, case, together):
    folder, found = together
    tower = tower_of(folder, policy)
    live = torch.tensor(sum(LIVE[case], []), dtype=torch.long)
    loss = sum((tower(None, live) * weighing(rank)).sum() / 2 for rank in range(2))
    assert loss.requires_grad == (case != "none")
    if loss.requires_grad:
        loss.backward()
    expected = {
        name: torch.zeros_like(each) if each.grad is None else each.grad for name, each in tower.named_parameters()
    }
    largest = max(float(gradient.abs().max()) for gradient in expected.values())
    assert (largest > 0.01) == (case != "none")
    for each in found:
        for gradients in each[policy][case]:
            assert gradients.keys() == expected.keys()
            for name, gradient in expected.items():
                assert torch.allclose(gradients[name], gradient, atol=1e-5 * max(largest, 1)), name


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name != "limited"])
def test_two_processes_train_what_one_trains(name, together):
    folder, found = together
    alone, (first, second) = trained(name, folder, 1), (each[f"training, {name}"] for each in found)
    assert (first["leads"], second["leads"]) == (True, False)
    for whole, one, other in zip(alone["live"], first["live"], second["live"], strict=True):
        assert one != other, "each names texts that the other does not"
        assert one | other == whole
    # Where the gradient went is what each process sees of its own rows.
    logged, expected = (
        {key: value for key, value in each["logged"].items() if "outside_top_k" not in key} for each in (first, alone)
    )
    assert any(key.endswith("loss/total") for key in logged)
    assert logged == pytest.approx(expected, rel=1e-4, abs=1e-5, nan_ok=True)
    for key, value in alone["weights"].items():
        assert torch.allclose(first["weights"][key], value, atol=1e-4, rtol=0), key
        assert torch.equal(first["weights"][key], second["weights"][key]), f"{key}: both end in the same weights"
    start = text_module(open_shop(folder), folder / "bert", CASES[name]["tuning"], POINT, 1.0, TEXTS).state_dict()
    moved = [float((alone["weights"][key] - start[key]).abs().max()) for key in start if ".plm." in key]
    assert max(moved) > 1e-2


@pytest.mark.slow
def test_with_a_limit_both_end_in_the_same_weights(together):
    first, second = (each["training, limited"]["weights"] for each in together[1])
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(value.isfinite().all() for value in first.values())


if __name__ == "__main__":
    work(Path(sys.argv[1]))
