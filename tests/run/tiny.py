"""A shop of 120 simulated users and a language model of two narrow layers: a run takes a fraction of a second."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from divrec.run.train import main
from run.command import ROOT, Answer, command

DATA = (
    "data=synthetic",
    "data.source.users=120",
    "data.source.items=60",
    "data.source.days=60",
    "data.source.categories=6",
    "data.preparation.core=3",
    "data.split.validation_days=10",
    "data.split.test_days=10",
    "data.batch_size=32",
)
SCHEDULE = ("schedule.steps=4", "schedule.warmup=1", "schedule.validate_every=2")
SWEEP = ("--config-dir", str(ROOT / "tests" / "run" / "conf"), "-m", "+sweep=tiny")


@dataclass(frozen=True)
class TinyShop:
    """Where tiny runs and sweeps are trained.

    Attributes:
        outputs: datasets and vectors, shared by all runs.
        plm: folder of the language model.
    """

    outputs: Path
    plm: Path

    @property
    def overrides(self) -> tuple[str, ...]:
        """What every tiny run is configured with."""
        return (*DATA, "encoder=pretrained", f"encoder.model={self.plm}", f"paths.outputs={self.outputs}")

    def train(self, folder: Path, *overrides: str, logger: str = "none") -> Answer:
        """Train one run."""
        return command(main, *self.overrides, f"logger={logger}", f"hydra.run.dir={folder}", *SCHEDULE, *overrides)

    def sweep(self, folder: Path, *overrides: str, logger: str = "none") -> Answer:
        """Run the sweep of tests/run/conf/sweep/tiny.yaml."""
        places = f"encoder.model={self.plm}", f"paths.outputs={self.outputs}", f"hydra.sweep.dir={folder}"
        return command(main, *SWEEP, *places, f"logger={logger}", *overrides)


@dataclass(frozen=True)
class TinySweep:
    """A finished sweep of nine runs, logged to W&B offline."""

    folder: Path
    answer: Answer


_finished: dict[Path, TinySweep] = {}


@pytest.fixture(scope="session")
def tiny_shop(tmp_path_factory: pytest.TempPathFactory, tiny_plm: Path) -> TinyShop:
    return TinyShop(tmp_path_factory.mktemp("outputs"), tiny_plm)


@pytest.fixture(scope="session")
def tiny_sweep(tmp_path_factory: pytest.TempPathFactory, tiny_shop: TinyShop) -> TinySweep:
    """Trained once a process, however many folders of tests import this fixture; leave it as it is."""
    if tiny_shop.plm not in _finished:
        folder = tmp_path_factory.mktemp("sweeps") / "tiny"
        _finished[tiny_shop.plm] = TinySweep(folder, tiny_shop.sweep(folder, logger="wandb"))
    return _finished[tiny_shop.plm]


def record_of(folder: Path) -> dict[str, Any]:
    """A run's record."""
    content: dict[str, Any] = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    return content


def without_times(record: dict[str, Any]) -> dict[str, Any]:
    """A record less what may differ between two runs of one point: times, code version and where it lies."""
    return {key: value for key, value in record.items() if key not in ("cost", "code", "config", "name")}


def same_files(one: Path, other: Path) -> bool:
    """Whether two points delivered the same lists with the same values."""
    names = ("users.parquet", "slates.parquet")
    return all(pd.read_parquet(one / name).equals(pd.read_parquet(other / name)) for name in names)
