"""The study behind a search: asks for trials, is told their values, survives the driver in a file of its own."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from divrec.errors import ConfigError, check_number

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STUDY_FILE = "study.sqlite3"
_NAME = "search"
_DIRECTIONS = ("maximize", "minimize")


@dataclass(frozen=True)
class Search:
    """How long to search, and for what.

    Attributes:
        trials: trials to finish in all, over all starts of the sweep; pruned ones count, failed ones do not.
        batch: trials drawn and trained together; None = as many as run at a time.
        seed: of the sampler.
        startup: trials drawn at random before the sampler learns from them.
        objectives: {metric, direction} each; values of the validation split, the accuracy first where there is a floor.
        floor: share of the control's first objective below which larger betas of the same regularizer are not tried;
            larger = prunes more, None = never. The front is read down to .9.
    """

    trials: int
    objectives: Sequence[Mapping[str, str]]
    batch: int | None = None
    seed: int = 0
    startup: int = 10
    floor: float | None = 0.8

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense.

        Raises:
            ConfigError: see the messages.
        """
        check_number("hydra.sweeper.search.trials", self.trials, least=1, whole=True)
        check_number("hydra.sweeper.search.startup", self.startup, least=0, whole=True)
        if self.batch is not None:
            check_number("hydra.sweeper.search.batch", self.batch, least=1, whole=True)
        wrong = [each for each in self.objectives if each.get("direction") not in _DIRECTIONS or "metric" not in each]
        if wrong or not self.objectives:
            raise ConfigError(
                "needs a metric and a direction each",
                where="hydra.sweeper.search.objectives",
                got=[dict(each) for each in self.objectives],
                mend="As {metric: ndcg@10, direction: maximize}.",
            )
        if self.floor is not None and self.directions[0] != "maximize":
            raise ConfigError(
                "the floor is a share of the first objective, which has to be the accuracy",
                where="hydra.sweeper.search.objectives",
                got=[dict(each) for each in self.objectives],
                mend="Put the accuracy first, or set hydra.sweeper.search.floor to null.",
            )

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics."""
        return [each["metric"] for each in self.objectives]

    @property
    def directions(self) -> list[str]:
        """Maximize or minimize, one a metric."""
        return [each["direction"] for each in self.objectives]


@dataclass(frozen=True)
class Trial:
    """What a study asks for: a run's name, its number in the study and the values drawn."""

    name: str
    number: int
    params: Mapping[str, Any]


class TrialStudy:
    """Ask and tell on a file in the sweep's folder.

    Args:
        folder: the sweep's.
        search: how long, and for what.
        space: config key -> distribution.

    Raises:
        ConfigError: optuna is not installed, or the folder holds a study of other objectives.
    """

    def __init__(self, folder: Path, search: Search, space: Mapping[str, BaseDistribution]) -> None:
        self._search, self._space = search, dict(space)
        self._study = _open(folder / STUDY_FILE, search)

    def pending(self) -> list[Trial]:
        """Trials that a killed driver left under way: the same runs go on."""
        return [_named(trial) for trial in self._in_state("RUNNING")]

    @property
    def remaining(self) -> int:
        """Trials that are still to be drawn."""
        return max(0, self._search.trials - len(self._in_state("COMPLETE", "PRUNED", "RUNNING")))

    def retry_failed(self) -> None:
        """Queue the trials that failed in earlier starts, each under its own name."""
        again = {trial.user_attrs.get("retries") for trial in self._study.get_trials(deepcopy=False)}
        for trial in self._in_state("FAIL"):
            if trial.number not in again and set(trial.params) == set(self._space):
                attributes = {"name": _named(trial).name, "retries": trial.number}
                self._study.enqueue_trial(trial.params, user_attrs=attributes)

    def ask(self, count: int) -> list[Trial]:
        """Draw trials.

        Raises:
            ConfigError: the choices of a key have changed since the study began.
        """
        from optuna.samplers import TPESampler

        drawn = len(self._study.get_trials(deepcopy=False))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # optuna's notes on experimental arguments
            # A resumed study draws what an unbroken one would have drawn, and never the same points again.
            self._study.sampler = TPESampler(
                seed=self._search.seed + drawn,
                n_startup_trials=self._search.startup,
                multivariate=True,
                constant_liar=True,
            )
            try:
                asked = [self._study.ask(fixed_distributions=self._space) for _ in range(count)]
            except ValueError as error:
                raise ConfigError(
                    f"the study began with another space ({error})",
                    where="hydra.sweeper.space",
                    mend=f"Take the space back, choose another hydra.sweep.dir, or delete {STUDY_FILE} there.",
                ) from error
        return [_named(trial) for trial in asked]

    def tell(self, trial: Trial, values: Sequence[float] | None) -> None:
        """Say what a trial reached; None, or a value that is no number, tells that it failed."""
        from optuna.trial import TrialState

        if values is None or not all(map(math.isfinite, values)):
            self._study.tell(trial.number, state=TrialState.FAIL)
        else:
            self._study.tell(trial.number, list(values))

    def prune(self, trial: Trial) -> None:
        """Give a trial up before it is trained."""
        from optuna.trial import TrialState

        self._study.tell(trial.number, state=TrialState.PRUNED)

    def finished(self) -> list[tuple[Trial, list[float]]]:
        """Trials with their values."""
        return [(_named(trial), list(trial.values)) for trial in self._in_state("COMPLETE")]

    def best(self) -> list[str]:
        """Names of the trials that no other beats on all objectives."""
        return [_named(trial).name for trial in self._study.best_trials]

    def _in_state(self, *names: str) -> list[FrozenTrial]:
        return [trial for trial in self._study.get_trials(deepcopy=False) if trial.state.name in names]


def _open(file: Path, search: Search) -> Study:
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(
            "a search needs optuna", where="hydra/sweeper=search", mend="Install it: pip install 'divrec[search]'."
        ) from error

    optuna.logging.set_verbosity(logging.WARNING)
    directions = [optuna.study.StudyDirection[direction.upper()] for direction in search.directions]
    study = optuna.create_study(
        storage=f"sqlite:///{file}", study_name=_NAME, directions=directions, load_if_exists=True
    )
    known = study.user_attrs.get("metrics", search.metrics)
    if known != search.metrics or [direction.name.lower() for direction in study.directions] != search.directions:
        raise ConfigError(
            f"the study there began with {known}",
            where="hydra.sweeper.search.objectives",
            got=search.metrics,
            mend=f"Choose another hydra.sweep.dir, or delete {file}.",
        )
    study.set_user_attr("metrics", search.metrics)
    return study


def _named(trial: Any) -> Trial:  # noqa: ANN401 - optuna's trial, running or frozen
    return Trial(trial.user_attrs.get("name", f"trial-{trial.number}"), trial.number, dict(trial.params))
