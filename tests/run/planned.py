"""A sweeper with a launcher that trains nothing: what it plans, in which order, and what it makes of failures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from hydra.utils import instantiate

from divrec.run.door import CONF
from hydra_plugins.divrec_plugins._runner import SweepRunner


@dataclass
class Recorder:
    """A launcher that trains nothing and remembers what it was asked for."""

    waves: list[list[dict[str, str]]] = field(default_factory=list)
    failing: str = "nothing"

    def launch(self, jobs: list[list[str]], initial_job_idx: int) -> list[JobReturn]:
        assert initial_job_idx == sum(map(len, self.waves))
        self.waves.append([dict(text.split("=", 1) for text in job) for job in jobs])
        results = []
        for job in self.waves[-1]:
            failed = job["hydra.job.name"] == self.failing
            returned = JobReturn(status=JobStatus.FAILED if failed else JobStatus.COMPLETED)
            returned.return_value = ValueError("no luck") if failed else None
            results.append(returned)
        return results

    @property
    def by_name(self) -> dict[str, dict[str, str]]:
        return {job["hydra.job.name"]: job for wave in self.waves for job in wave}

    @property
    def names(self) -> list[list[str]]:
        return [[job["hydra.job.name"] for job in wave] for wave in self.waves]


@pytest.fixture
def plan(tmp_path, monkeypatch) -> Iterator:
    """Runs the sweeper on a grid; gives its launcher."""
    fronts = []
    # Composes every job, which takes seconds: tests/run/test_sweep.py does.
    monkeypatch.setattr(SweepRunner, "check", lambda runner, jobs: None)
    monkeypatch.setattr(
        "divrec.run.front.build", lambda folder, wandb=None, options=None: fronts.append((folder, wandb))
    )
    with initialize_config_dir(CONF, version_base="1.3"):

        def planned(
            *grid: str,
            sweep: str = "beta_x_loss",
            settings: tuple[str, ...] = (),
            launcher: Recorder | None = None,
            folder: str = "sweep",
        ) -> Recorder:
            overrides = [f"+sweep={sweep}", f"hydra.sweep.dir={tmp_path}/{folder}"]
            overrides += ["hydra.job.num=0", "hydra.job.id=0", "hydra.runtime.output_dir=x", *settings]
            config = compose("train", overrides=overrides, return_hydra_config=True)
            sweeper = instantiate(config.hydra.sweeper)
            loader = GlobalHydra.instance().config_loader()
            sweeper.setup(
                config=config,
                hydra_context=HydraContext(config_loader=loader, callbacks=Callbacks()),
                task_function=lambda _: None,
            )
            sweeper.launcher = launcher or Recorder()
            try:
                sweeper.sweep([f"+sweep={sweep}", *grid])  # as Hydra hands a command line on
            finally:
                sweeper.launcher.fronts = list(fronts)
            return sweeper.launcher

        yield planned
