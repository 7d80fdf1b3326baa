"""Two processes that share every batch train what one process trains. The file is those two processes too."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pytorch_lightning.strategies import DDPStrategy

from divrec.objectives import BinaryCrossEntropy, CrossEntropy, ExposureGini, Simpson
from divrec.schema import CURVE_FILE
from divrec.training import Schedule, TrainingCheckpoint, fit
from shared_once import made_once
from training.shop import BATCH_USERS, MONITOR, Log, catalogue_of, module_of, open_shop
from training.two_processes import meet, run_twice, trainer_of

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
    # As hard as on the batches that there are: with a weaker pull, gradients near 0 are rounded to either sign.
    module.objective.reference_users = BATCH_USERS

    kept_aside = (folder / run, folder / aside) if aside else None
    trainer = trainer_of(case, devices, partial(DDPStrategy, broadcast_buffers=False), kept_aside)
    checkpoint = TrainingCheckpoint(folder / run, name, minutes=0) if run else None
    fitted = fit(module, data, trainer, [log], MONITOR, show_bar=False, checkpoint=checkpoint)
    weights = {f"weight/{key}": value.flatten().tolist() for key, value in module.state_dict().items()}
    logged = {f"{step}/{key}": value for step, row in log.rows for key, value in row.items() if key != "epoch"}
    return {"leads": fitted.leads, "steps": fitted.steps, **weights, **(logged if fitted.leads else {})}


def work(folder: Path) -> None:
    """One of the two: all cases, one after the other."""
    found = {}
    trainings = [(name, ("run", "aside") if "killed" in case else ()) for name, case in CASES.items()]
    for number, (name, places) in enumerate([*trainings, ("killed", ("aside",))]):
        rank = meet(folder, f"meet-{number}")
        found[name] = trained(name, folder, 2, *places)
    (folder / f"{rank}.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> tuple[Path, list[dict[str, Any]]]:
    """What the two processes found."""

    def make(folder: Path) -> None:
        open_shop(folder)
        run_twice(__file__, folder)

    folder = made_once(tmp_path_factory, "several-processes", make)
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
    work(Path(sys.argv[1]))
