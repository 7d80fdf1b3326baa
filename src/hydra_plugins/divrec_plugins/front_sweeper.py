"""A sweep in two waves: the bases and baselines, then every point that fine-tunes from a base; then the front.

Hydra finds this class in its namespace package. It imports no torch: the sweep's driver has to answer at once.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus, configure_log
from omegaconf import OmegaConf

logger = logging.getLogger(__name__)

Job = dict[str, str]

_INTERRUPTED = 130  # what a shell says of a program that Ctrl-C ended


class FrontSweeper(BasicSweeper):
    """Trains a base for each cell of the grid, then its control and its points from that base.

    The base of a point is the point with the `base` overrides applied, so a grid over seeds or task losses gets a base
    for each by itself; points that share a base share its control.

    Args:
        params: the grid, as override -> values; the command line adds to it and wins.
        base: overrides that turn a point into its base.
        point: overrides that every control and point carries beside the grid (a shorter schedule, say).
        control: overrides of the control alone (re-rankers to set beside the points, say).
        baselines: values of `model` that are fitted beside the bases.
        from_base: whether points start from their base's weights; otherwise each trains from scratch, without a base.
    """

    def __init__(
        self,
        params: Mapping[str, Any] | None = None,
        base: Mapping[str, Any] | None = None,
        point: Mapping[str, Any] | None = None,
        control: Mapping[str, Any] | None = None,
        baselines: Sequence[str] = (),
        from_base: bool = True,
    ) -> None:
        super().__init__(None, {key: str(value) for key, value in (params or {}).items()})
        self.base, self.point, self.control = (_texts(given) for given in (base, point, control))
        self.baselines, self.from_base = list(baselines), from_base

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run both waves, then build the front from what is on disk, whatever failed or was interrupted."""
        folder = Path(self.config.hydra.sweep.dir).resolve()
        waves = self._waves(self._grid(arguments), folder)
        self._check(waves)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        self._announce(waves, folder)
        # loky renews a worker whose memory grew, between two jobs: as it should be, and nobody's concern.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
        returns: list[Sequence[JobReturn]] = []
        failed: list[str] = []
        try:
            for number, wave in enumerate(waves, start=1):
                self._run(f"Wave {number} of {len(waves)}", wave, returns, failed)
        except KeyboardInterrupt:
            logger.error("Interrupted. Finished runs are kept: the same command goes on from here.")
            sys.exit(_INTERRUPTED)
        finally:
            built = self._build_front(folder)
        if failed or not built:
            sys.exit(1)
        return returns

    def _run(self, title: str, wave: dict[str, Job], returns: list[Sequence[JobReturn]], failed: list[str]) -> None:
        """Run a wave; add its results and the names of what failed, or could not start, to the lists."""
        orphans = [name for name, job in wave.items() if _base_of(job) in failed]
        for name in orphans:
            logger.error("%s is left out: its base %s failed", name, _base_of(wave[name]))
        failed += orphans
        runs = [name for name in wave if name not in orphans]
        logger.info("%s: %s", title, ", ".join(runs))
        results = self.launcher.launch(
            [_arguments(name, wave[name]) for name in runs], initial_job_idx=sum(map(len, returns))
        )
        # A launcher that runs jobs in this process leaves their logging behind.
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        returns.append(results)
        failed += _failures(runs, results)

    def _grid(self, arguments: list[str]) -> tuple[list[Job], list[str]]:
        """Every cell of the grid, and the keys that vary."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        latest: dict[str, Override] = {override.get_key_element(): override for override in overrides}
        cells = self.split_arguments(list(latest.values()), None)[0]
        swept = [key for key, override in latest.items() if override.is_sweep_override()]
        return [dict(text.split("=", 1) for text in cell) for cell in cells], swept

    def _waves(self, grid: tuple[list[Job], list[str]], folder: Path) -> list[dict[str, Job]]:
        from divrec.schema import BASELINE

        cells, swept = grid
        others = [key for key in swept if key not in self.base]
        first: dict[str, Job] = {}
        second: dict[str, Job] = {}
        for cell in cells:
            own = [key for key in self.base if key in cell and key not in self.point]
            tail = [f"{_short(key)}{_plain(cell[key])}" for key in others]
            base_name = "-".join(["base", *tail])
            start = {"init_from": f'"{folder / base_name}"'} if self.from_base else {}
            if self.from_base:
                first.setdefault(base_name, {**cell, **self.base})
            for model in self.baselines:
                own_model = {"model": model, "kind": BASELINE}  # one that is trained is a baseline here, too
                first.setdefault("-".join([model, *tail]), {**_without_model(cell), **self.base, **own_model})
            neutral = {key: self.base[key] for key in own}
            second.setdefault("-".join(["control", *tail]), {**cell, **neutral, **self.point, **self.control, **start})
            if own and not any(_same(cell[key], self.base[key]) for key in own):  # else it is the control itself
                name = "-".join([*(_plain(cell[key]) for key in own), *tail])
                second.setdefault(name, {**cell, **self.point, **start})
        return [wave for wave in (first, second) if wave]

    def _check(self, waves: list[dict[str, Job]]) -> None:
        """Compose every job before the first one trains, so that a typo costs nothing."""
        from divrec.errors import DivrecError
        from divrec.run.door import UserMistake, check_dials

        assert self.config is not None
        for wave in waves:
            for name, job in wave.items():
                config = self.hydra_context.config_loader.load_sweep_config(self.config, _arguments(name, job))
                try:
                    check_dials(config)
                except DivrecError as error:
                    raise UserMistake(f"{type(error).__name__}: {error}") from error

    def _announce(self, waves: list[dict[str, Job]], folder: Path) -> None:
        from divrec.storage import write_json

        expected = [{"name": name, "kind": self._kind(name)} for wave in waves for name in wave]
        write_json(folder / "sweep.json", {"name": folder.name, "expected": expected})
        logger.info("Sweep %s: %d runs in %s", folder.name, len(expected), folder)

    def _kind(self, name: str) -> str:
        from divrec.schema import BASE, BASELINE, CONTROL, TRAINED

        head = name.split("-")[0]
        if head in self.baselines:
            return BASELINE
        return head if head in (BASE, CONTROL) else TRAINED

    def _build_front(self, folder: Path) -> bool:
        from divrec.errors import DivrecError
        from divrec.run.front import build

        tracker = self.config.logger.get("wandb")
        try:
            build(folder, None if tracker is None else (tracker.project, tracker.mode))
        except DivrecError as error:
            logger.error("The front could not be built: %s", error)
            return False
        return True


def _texts(overrides: Mapping[str, Any] | None) -> Job:
    return {key: str(value) for key, value in (overrides or {}).items()}


def _arguments(name: str, job: Job) -> list[str]:
    return [*(f"{key}={value}" for key, value in job.items()), f"hydra.job.name={name}", f"hydra.sweep.subdir={name}"]


def _short(key: str) -> str:
    return key.lstrip("+~").replace("/", ".").split(".")[-1]


def _plain(value: str) -> str:
    """A value as part of a folder's name: [gini,simpson] becomes gini+simpson."""
    text = value.strip("[]").replace(",", "+").replace(" ", "")
    return "".join(character if character.isalnum() or character in "+._" else "_" for character in text)


def _without_model(cell: Job) -> Job:
    """A baseline has a model of its own; what the grid says of another model's parts is not for it."""
    return {key: value for key, value in cell.items() if not key.lstrip("+~").startswith("model.")}


def _same(left: str, right: str) -> bool:
    try:
        return float(left) == float(right)
    except ValueError:
        return left.strip("[]") == right.strip("[]")


def _base_of(job: Job) -> str | None:
    """Name of the run that a job starts from."""
    start = job.get("init_from")
    return None if start is None else Path(start.strip('"')).name


def _failures(names: list[str], results: Sequence[JobReturn]) -> list[str]:
    failed = []
    for name, result in zip(names, results, strict=True):
        if result.status != JobStatus.COMPLETED:
            logger.error("%s failed: %s", name, result._return_value)
            failed.append(name)
    return failed
