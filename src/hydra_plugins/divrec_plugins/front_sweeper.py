"""A sweep in two waves: the bases and baselines, then every point that fine-tunes from a base; then the front.

Hydra finds this class in its namespace package. It imports no torch: the sweep's driver has to answer at once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from omegaconf import DictConfig

from hydra_plugins.divrec_plugins._plan import Job, Recipe, texts, waves

logger = logging.getLogger(__name__)


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
        super().__init__(None, texts(params))
        self.recipe = Recipe.configured(base, point, control, baselines, from_base)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run both waves, then build the front from what is on disk, whatever failed or was interrupted."""
        from hydra_plugins.divrec_plugins._runner import SweepRunner

        assert self.config is not None
        assert self.launcher is not None
        runner = SweepRunner(self.config, self.launcher, self._compose, self.recipe.kind)
        cells, swept = self._grid(arguments)
        planned = waves(cells, swept, self.recipe, runner.folder)
        kept = runner.kept_tails(_together(planned), self.recipe.others(swept))
        planned = waves(cells, swept, self.recipe, runner.folder, kept) if kept else planned
        jobs = _together(planned)
        runner.check(jobs)
        with runner.driving():
            runner.announce(list(jobs))
            logger.info("Sweep %s: %d runs in %s", runner.folder.name, len(jobs), runner.folder)
            for number, wave in enumerate(planned, start=1):
                runner.run(f"Wave {number} of {len(planned)}", wave)
        return runner.returns

    def _compose(self, overrides: list[str]) -> DictConfig:
        assert self.config is not None
        return self.hydra_context.config_loader.load_sweep_config(self.config, overrides)

    def _grid(self, arguments: list[str]) -> tuple[list[Job], list[str]]:
        """Every cell of the grid, and the keys that vary."""
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        latest: dict[str, Override] = {override.get_key_element(): override for override in overrides}
        cells = self.split_arguments(list(latest.values()), None)[0]
        swept = [key for key, override in latest.items() if override.is_sweep_override()]
        return [dict(text.split("=", 1) for text in cell) for cell in cells], swept


def _together(planned: Sequence[Mapping[str, Job]]) -> dict[str, Job]:
    return {name: job for wave in planned for name, job in wave.items()}
