"""A search over regularizers, beta and what else is configured, for several objectives at once; then the front.

Optuna proposes, the launcher trains in batches, the records on disk answer; killed and started again it goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from omegaconf import DictConfig, OmegaConf

from divrec.errors import ConfigError, DivrecError
from divrec.schema import BASE, CONTROL
from hydra_plugins.divrec_plugins._plan import Job, Recipe, start_from, tail_of, waves
from hydra_plugins.divrec_plugins._pruning import hopeless
from hydra_plugins.divrec_plugins._space import choices, corners, distributions, keys_of_the_base, overrides
from hydra_plugins.divrec_plugins._study import Search, Trial, TrialStudy

if TYPE_CHECKING:
    from hydra_plugins.divrec_plugins._runner import SweepRunner

logger = logging.getLogger(__name__)


class SearchSweeper(BasicSweeper):
    """Trains bases, controls and baselines as a grid would, then draws points until there are enough.

    Keys of the space that the base depends on (`tuning`, `seed`, `task`...) get a base and a control for each choice,
    where there are several.

    Args:
        space: config key -> list of choices, or {low, high, log, step}.
        search: how long, and for what.
        base: overrides that turn a point into its base.
        point: overrides that every control and point carries beside what is drawn.
        control: overrides of the control alone.
        baselines: values of `model` that are fitted beside the bases.
        from_base: whether points start from their base's weights; otherwise each trains from scratch, without a base.
    """

    def __init__(
        self,
        space: Mapping[str, Any],
        search: Search,
        base: Mapping[str, Any] | None = None,
        point: Mapping[str, Any] | None = None,
        control: Mapping[str, Any] | None = None,
        baselines: Sequence[str] = (),
        from_base: bool = True,
    ) -> None:
        super().__init__(None)
        plain_space: Any = OmegaConf.to_container(space) if OmegaConf.is_config(space) else dict(space)
        self.space: dict[str, Any] = plain_space
        self.search = search
        self.recipe = Recipe.configured(base, point, control, baselines, from_base)

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        """Run the references and all trials, then build the front from what is on disk."""
        from divrec.run.door import UserMistake
        from hydra_plugins.divrec_plugins._runner import SweepRunner

        assert self.config is not None
        assert self.launcher is not None
        runner = SweepRunner(self.config, self.launcher, self._compose, self.recipe.kind)
        try:
            drawn_from = distributions(self.space)
            keys = keys_of_the_base(self.space)
            fixed = {**self._fixed(arguments), **overrides({key: choices(self.space[key])[0] for key in keys})}
            keys = [key for key in keys if len(self.space[key]) > 1]
        except DivrecError as error:
            raise UserMistake(f"{type(error).__name__}: {error}") from error
        references = self._references(fixed, keys, runner)
        jobs = {name: job for wave in references for name, job in wave.items()}
        drawable = [self._job(drawn, fixed, keys, runner)[1] for drawn in corners(self.space)]
        runner.check({**jobs, **{f"trial-like-{number}": job for number, job in enumerate(drawable)}})
        with runner.driving():
            study = TrialStudy(runner.folder, self.search, drawn_from)
            runner.announce(list(jobs))
            for number, wave in enumerate(references, start=1):
                runner.run(f"References {number} of {len(references)}", wave)
            self._search(study, fixed, keys, runner)
            logger.info("No trial beats %s on %s", ", ".join(study.best()) or "any", " and ".join(self.search.metrics))
        return runner.returns

    def _search(self, study: TrialStudy, fixed: Job, keys: list[str], runner: SweepRunner) -> None:
        study.retry_failed()
        batch, asked = study.pending(), 0
        budget = study.remaining  # failed trials are not drawn again in this start
        size = self._batch_size()
        if size >= budget > self.search.startup and not study.finished():
            logger.warning(
                "All %d trials are drawn at once, so none learns from another: hydra.sweeper.search.batch draws fewer",
                budget,
            )
        while batch or asked < budget:
            new = study.ask(min(size - len(batch), budget - asked)) if len(batch) < size else []
            asked += len(new)
            self._run(study, [*batch, *new], (fixed, keys), runner)
            batch = []

    def _run(self, study: TrialStudy, batch: list[Trial], about: tuple[Job, list[str]], runner: SweepRunner) -> None:
        fixed, keys = about
        jobs: dict[str, Job] = {}
        trials: dict[str, Trial] = {}
        for trial in batch:
            tail, job = self._job(overrides(trial.params), fixed, keys, runner)
            name = f"{trial.name}{tail}"
            reason = hopeless(trial, study.finished(), self._control_value(runner, tail), (keys, self.search.floor))
            if reason:
                logger.info("%s is not trained: %s", name, reason)
                study.prune(trial)
                continue
            if runner.refused(name, job):  # choices that do not go together; each by itself was checked before
                study.tell(trial, None)
                continue
            jobs[name], trials[name] = job, trial
        if not jobs:
            return
        runner.announce(list(jobs))
        runner.run(f"{len(study.finished())} of {self.search.trials} trials finished; next", jobs)
        for name, trial in trials.items():
            study.tell(trial, None if name in runner.failed else runner.values(name, self.search.metrics))

    def _job(self, drawn: Job, fixed: Job, keys: list[str], runner: SweepRunner) -> tuple[str, Job]:
        """What a trial's name ends in, and its overrides."""
        tail = tail_of(drawn, keys)
        start = start_from(runner.folder, f"{BASE}{tail}") if self.recipe.from_base else {}
        return tail, {**fixed, **self.recipe.point, **drawn, **start}

    def _references(self, fixed: Job, keys: list[str], runner: SweepRunner) -> list[dict[str, Job]]:
        """Bases, baselines and controls: a grid over what the bases depend on."""
        cells: list[Job] = [
            {**fixed, **overrides(dict(zip(keys, values, strict=True)))}
            for values in product(*(choices(self.space[key]) for key in keys))
        ]
        return waves(cells, keys, self.recipe, runner.folder)

    def _control_value(self, runner: SweepRunner, tail: str) -> float | None:
        values = runner.values(f"{CONTROL}{tail}", self.search.metrics[:1])
        return None if values is None else values[0]

    def _batch_size(self) -> int:
        if self.search.batch is not None:
            return self.search.batch
        find = getattr(self.launcher, "find_places", None)
        return len(find()) if find else _at_a_time(self.config.hydra.launcher)

    def _compose(self, given: list[str]) -> DictConfig:
        assert self.config is not None
        return self.hydra_context.config_loader.load_sweep_config(self.config, given)

    def _fixed(self, arguments: list[str]) -> Job:
        parsed = OverridesParser.create(config_loader=self.hydra_context.config_loader).parse_overrides(arguments)
        grid = [override.input_line for override in parsed if override.is_sweep_override()]
        if grid:
            raise ConfigError(
                "a search draws its values itself",
                where="command line",
                got=grid,
                mend="Name what varies in hydra.sweeper.space, as 'hydra.sweeper.space.seed=[0,1]'.",
            )
        return dict(str(override.input_line).split("=", 1) for override in parsed)


def _at_a_time(launcher: DictConfig) -> int:
    """Runs at a time of a launcher that knows no places, by its config."""
    if "array_parallelism" in launcher:  # Slurm
        return int(launcher.array_parallelism)
    from joblib import effective_n_jobs

    return int(effective_n_jobs(launcher.get("n_jobs", 1)))  # joblib's own, where -1 = one a core
