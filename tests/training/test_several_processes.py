"""Two processes that share every batch train what one process trains. The file is those two processes too."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy

from divrec.objectives import BinaryCrossEntropy, CrossEntropy, ExposureGini, Simpson
from divrec.schema import CURVE_FILE
from divrec.training import Schedule, TrainingCheckpoint, fit
from training.shop import MONITOR, Log, catalogue_of, module_of, open_shop

BOTH = {"simpson": Simpson, "gini": ExposureGini}
POINT = Schedule(steps=6, learning_rate=0.05, validate_every=3)
BASE = Schedule(steps=6, learning_rate=0.05, validate_every=2, patience=2)
CASES: dict[str, dict[str, Any]] = {
    "all items": {"task": CrossEntropy},
    "sampled": {"task": partial(BinaryCrossEntropy, 9)},
    "regularized": {"task": CrossEntropy, "regularizers": BOTH, "beta": 1.0},
    "raw and sampled": {"task": partial(BinaryCrossEntropy, 9), "regularizers": BOTH, "beta": 1.0, "scale": "raw"},
    "in chunks": {"task": partial(CrossEntropy, 7), "regularizers": BOTH, "beta": 1.0},
    "accumulated": {"task": CrossEntropy, "settings": {"accumulate_grad_batches": 2}},
    "best weights": {"task": CrossEntropy, "schedule": BASE},
    "killed": {"task": partial(BinaryCrossEntropy, 9), "regularizers": BOTH, "beta": 1.0, "killed": True},
}


class KeepAside(pl.Callback):
    """Copies what lies on disk when the fourth step is done: what a process that is killed there leaves behind."""

    def __init__(self, run: Path, aside: Path) -> None:
        self.run, self.aside = run, aside

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == 4 and trainer.is_global_zero:
            shutil.copytree(self.run, self.aside)


def trained(name: str, folder: Path, devices: int, run: str = "", aside: str = "") -> dict[str, Any]:
    """What a training logs and ends in.

    Args:
        name: of the case.
        folder: of the data.
        devices: processes.
        run: folder of its checkpoints, if it keeps any.
        aside: where its state after four steps is kept.
    """
    case = CASES[name]
    data = open_shop(folder)
    catalogue, log = catalogue_of(data), Log()
    arguments = case.get("regularizers", {}), case.get("beta", 0.0), case.get("scale", "gradient")
    module = module_of(catalogue, case.get("schedule", POINT), *arguments)
    module.objective.task = case["task"]()

    def trainer(**given: Any) -> pl.Trainer:
        callbacks = [*given.pop("callbacks"), *([KeepAside(folder / run, folder / aside)] if aside else [])]
        strategy = DDPStrategy(broadcast_buffers=False) if devices > 1 else "auto"
        fixed = {"accelerator": "cpu", "devices": devices, "strategy": strategy, "log_every_n_steps": 1}
        return pl.Trainer(callbacks=callbacks, **given, **fixed, **case.get("settings", {}))

    checkpoint = TrainingCheckpoint(folder / run, name, minutes=0) if run else None
    fitted = fit(module, data, trainer, [log], MONITOR, show_bar=False, checkpoint=checkpoint)
    weights = {f"weight/{key}": value.flatten().tolist() for key, value in module.state_dict().items()}
    logged = {f"{step}/{key}": value for step, row in log.rows for key, value in row.items() if key != "epoch"}
    return {"leads": fitted.leads, "steps": fitted.steps, **weights, **(logged if fitted.leads else {})}


def work(folder: Path, port: int) -> None:
    """One of the two: all cases, one after the other."""
    torch.set_num_threads(1)
    found = {}
    trainings = [(name, ("run", "aside") if "killed" in case else ()) for name, case in CASES.items()]
    for number, (name, places) in enumerate([*trainings, ("killed", ("aside",))]):
        os.environ["MASTER_PORT"] = str(port + number)
        found[name] = trained(name, folder, 2, *places)
    (folder / f"{os.environ['LOCAL_RANK']}.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> tuple[Path, list[dict[str, Any]]]:
    """What the two processes found."""
    folder = tmp_path_factory.mktemp("processes")
    open_shop(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **shared}
    command = [sys.executable, __file__, str(folder), str(min(port, 60000))]
    processes = [subprocess.Popen(command, env={**environment, "LOCAL_RANK": str(rank)}) for rank in range(2)]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    return folder, [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_processes_equal_one(name, together):
    folder, (first, second) = together
    alone = trained(name, folder, 1)
    found = first[name]
    assert (found["leads"], second[name]["leads"]) == (True, False)
    # Where the gradient went is what each process sees of its own rows.
    alone, found, other = (
        {key: value for key, value in each.items() if "/gradient/" not in key} for each in (alone, found, second[name])
    )
    logged = {key: value for key, value in found.items() if "/" in key and not key.startswith("weight/")}
    assert any(key.endswith("loss/total") for key in logged)
    assert any(key.endswith(MONITOR) for key in logged)
    # A training that goes on logs what is left of it.
    assert logged.keys() <= alone.keys() if name == "killed" else logged.keys() | other.keys() == alone.keys()
    assert logged == pytest.approx({key: alone[key] for key in logged}, rel=1e-4, abs=1e-6, nan_ok=True)
    assert found["steps"] == other["steps"] == alone["steps"]
    weights = [key for key in alone if key.startswith("weight/")]
    assert len(weights) > 2
    for key in weights:
        assert found[key] == pytest.approx(alone[key], rel=1e-4, abs=1e-5), key
        assert found[key] == second[name][key], f"{key}: both processes hold the same weights and memories"


@pytest.mark.slow
def test_two_processes_leave_the_curve_of_one(together, tmp_path):
    trained("killed", tmp_path, 1, "run")
    folder, _ = together
    alone, found = (pd.read_csv(place / "run" / CURVE_FILE) for place in (tmp_path, folder))
    assert len(alone) == 2
    shared = [name for name in alone.columns if not name.startswith("gradient/")]
    assert found[shared].to_numpy() == pytest.approx(alone[shared].to_numpy(), rel=1e-4, abs=1e-6, nan_ok=True)


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
