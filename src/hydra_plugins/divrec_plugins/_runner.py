"""One start of a sweep: runs jobs wave by wave, keeps going when one fails, and leaves a front behind."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from hydra.core.utils import JobReturn, JobStatus, configure_log
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from divrec.errors import ConfigError, DivrecError, RecordError
from divrec.run.door import UserMistake, check_dials, check_one_device, check_one_node
from divrec.schema import RECORD_FILE, VALIDATION
from divrec.storage import held, write_json
from hydra_plugins.divrec_plugins._growth import kept_tails
from hydra_plugins.divrec_plugins._interruption import exit_code, sigterm_interrupts
from hydra_plugins.divrec_plugins._plan import Job, arguments, base_of
from hydra_plugins.divrec_plugins._pool import Listener
from hydra_plugins.divrec_plugins._progress import Progress

if TYPE_CHECKING:
    from divrec.analysis import FrontOptions

logger = logging.getLogger(__name__)

_LOCK_FILE = ".sweep.lock"


@runtime_checkable
class CheckedLauncher(Protocol):
    """A launcher that says beforehand whether it can run."""

    def check(self) -> None:
        """Raise a `ConfigError` if it could not run."""


@runtime_checkable
class PoolLauncher(CheckedLauncher, Protocol):
    """One that tells how the runs go, too."""

    listener: Listener


class SweepRunner:
    """Runs the jobs of a sweep.

    Args:
        config: the sweep's own.
        launcher: set up by Hydra.
        compose: overrides of a job -> its config.
        kind: name of a run -> its kind.
    """

    def __init__(
        self,
        config: DictConfig,
        launcher: Launcher,
        compose: Callable[[list[str]], DictConfig],
        kind: Callable[[str], str],
    ) -> None:
        self.config, self.launcher, self.compose, self.kind = config, launcher, compose, kind
        self.folder = Path(config.hydra.sweep.dir).resolve()
        self.returns: list[Sequence[JobReturn]] = []
        self.progress = Progress(self.folder)

    @property
    def failed(self) -> list[str]:
        """Names of the runs that failed or could not start, in this start of the sweep."""
        return list(self.progress.failures)

    def check(self, jobs: Mapping[str, Job]) -> None:
        """Compose every job before the first one trains, so that a typo costs nothing.

        Raises:
            UserMistake: the first dial that makes no sense, several devices where runs are no programs of their own,
                several nodes, no such language of the report, or places that the launcher cannot have.
        """
        with _told_as_mistakes():
            for name, job in jobs.items():
                self._check_run(name, job)
            self._front_options()
            if isinstance(self.launcher, CheckedLauncher):
                self.launcher.check()

    def refused(self, name: str, job: Job) -> bool:
        """Whether a run makes no sense; then it has failed, and says why."""
        try:
            with _told_as_mistakes():
                self._check_run(name, job)
        except CompactHydraException as error:
            self.progress.failed(name, error)
            return True
        return False

    def _check_run(self, name: str, job: Job) -> None:
        composed = self.compose(arguments(name, job))
        check_dials(composed)
        check_one_node(composed)
        if not getattr(self.launcher, "as_command", False):
            check_one_device(composed)

    def kept_tails(self, planned: Mapping[str, Job], others: Sequence[str]) -> dict[str, str]:
        """Tail of a name in the plan -> the tail that the same runs have in the folder: see `_growth`.

        Raises:
            UserMistake: a run there has the values of a cell, and other settings besides.
        """
        with _told_as_mistakes():
            kept = kept_tails(planned, others, self.folder, self.compose)
        for tail, had in kept.items():
            logger.info("Runs are there under other names: NAME%s is NAME%s", tail, had)
        return kept

    def announce(self, names: Sequence[str]) -> None:
        """Add runs to sweep.json: a sweep grows, and what an earlier start asked for is still expected."""
        expected = expected_runs(self.folder)
        known = {point["name"] for point in expected}
        expected += [{"name": name, "kind": self.kind(name)} for name in names if name not in known]
        write_json(self.folder / "sweep.json", {"name": self.folder.name, "expected": expected})
        self.progress.expect(names)

    @contextmanager
    def driving(self) -> Iterator[None]:
        """Hold the sweep's folder; at the end build the front from what is on disk, whatever failed or was interrupted.

        Raises:
            SystemExit: 1 if a run failed or there is no front, 130 after Ctrl-C, 143 after SIGTERM.
            UserMistake: another driver is at work in the folder, or its sweep.json is broken.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # Two drivers in one folder would train the same runs into each other.
        second = f"another sweep is at work in {self.folder}; wait for its end, or choose another hydra.sweep.dir"
        with held(self.folder / _LOCK_FILE, UserMistake(f"ConfigError: {second}")), sigterm_interrupts():
            OmegaConf.save(self.config, self.folder / "multirun.yaml")
            # loky renews a worker whose memory grew, between two jobs: as it should be, and nobody's concern.
            warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
            try:
                with _told_as_mistakes(), self._concluded():
                    yield
            except KeyboardInterrupt as interrupt:
                sys.exit(exit_code(interrupt))
            if self.failed:
                sys.exit(1)

    def run(self, title: str, wave: Mapping[str, Job]) -> list[JobReturn | None]:
        """Run a wave; what starts from a failed run is left out.

        Returns:
            A result for each job of the wave; None where it was left out.
        """
        orphans = [name for name, job in wave.items() if base_of(job) in self.failed]
        for name in orphans:
            logger.error("%s is left out: its base %s failed", name, base_of(wave[name]))
            self.progress.failures[name] = f"its base {base_of(wave[name])} failed"
        names = [name for name in wave if name not in orphans]
        if not names:
            return [None] * len(wave)
        logger.info("%s: %s", title, ", ".join(names))
        jobs = [arguments(name, wave[name]) for name in names]
        with self._followed():
            results = self._launch(names, jobs)
        # A launcher that runs jobs in this process leaves their logging behind.
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        self.returns.append(results)
        by_name = dict(zip(names, results, strict=True))
        for name, result in by_name.items():
            if result.status != JobStatus.COMPLETED:
                self.progress.failed(name, result._return_value)
        return [by_name.get(name) for name in wave]

    def _launch(self, names: Sequence[str], jobs: Sequence[list[str]]) -> Sequence[JobReturn]:
        """Launch a wave; where the launcher itself gives up, each run is judged by whether it left a record."""
        try:
            return self.launcher.launch(jobs, initial_job_idx=sum(map(len, self.returns)))
        except DivrecError:
            raise
        except Exception as error:  # joblib and submitit raise for all of a wave when one worker is killed
            logger.error("The launcher gave up: %s", error)
            returned = [JobReturn(overrides=job) for job in jobs]
            for name, each in zip(names, returned, strict=True):
                done = (self.folder / name / RECORD_FILE).is_file()
                each.status = JobStatus.COMPLETED if done else JobStatus.FAILED
                each.return_value = None if done else error
            return returned

    def values(self, name: str, metrics: Sequence[str]) -> list[float] | None:
        """Validation values of a finished run.

        Returns:
            A value for each metric, NaN where it is undefined; None where there is no record.

        Raises:
            ConfigError: the record has no such metric.
        """
        from divrec.analysis import read_record

        if not (self.folder / name / RECORD_FILE).is_file():
            return None
        found = read_record(self.folder / name).metrics[VALIDATION]
        unknown = [metric for metric in metrics if metric not in found]
        if unknown:
            raise ConfigError("no such metric in the records", where=name, got=unknown, mend=f"Use {sorted(found)}.")
        return [found[metric] for metric in metrics]

    @contextmanager
    def _followed(self) -> Iterator[None]:
        """Show how the wave goes on, if the launcher tells."""
        self.progress.new_wave()
        if not isinstance(self.launcher, PoolLauncher):
            yield
            return
        self.launcher.listener = self.progress
        with self.progress:
            yield

    @contextmanager
    def _concluded(self) -> Iterator[None]:
        """However the runs end: build the front, then say which failed.

        Raises:
            SystemExit: 1 if the runs went well and there is no front.
        """
        built = False
        try:
            try:
                yield
            except KeyboardInterrupt:
                logger.error("Interrupted. Finished runs are kept: the same command goes on from here.")
                raise
            finally:
                built = self._build_front()
        finally:
            if self.failed:
                logger.error(
                    "%d failed: %s; the same command tries them again", len(self.failed), ", ".join(self.failed)
                )
        if not built:
            sys.exit(1)

    def _front_options(self) -> FrontOptions:
        from divrec.analysis import FrontOptions

        return FrontOptions(language=self.config.report.language, users=self.config.report.users)

    def _build_front(self) -> bool:
        from divrec.run.front import build

        tracker = self.config.logger.get("wandb")
        wandb = None if tracker is None else (tracker.project, tracker.mode)
        try:
            build(self.folder, wandb, self._front_options())
        except DivrecError as error:
            logger.error("The front could not be built: %s", error)
            return False
        except Exception:  # of a library; it must not take the place of how the runs ended
            logger.exception("The front could not be built")
            return False
        return True


@contextmanager
def _told_as_mistakes() -> Iterator[None]:
    """What is wrong leaves as one message."""
    try:
        yield
    except DivrecError as error:
        raise UserMistake(f"{type(error).__name__}: {error}") from error


def expected_runs(folder: Path) -> list[dict[str, Any]]:
    """What earlier starts of a sweep asked for; empty for a new sweep.

    Raises:
        RecordError: sweep.json is broken.
    """
    from divrec.analysis.records import BROKEN_SWEEP

    file = folder / "sweep.json"
    if not file.is_file():
        return []
    try:
        return [
            dict(name=str(point["name"]), kind=point["kind"])
            for point in json.loads(file.read_text("utf-8"))["expected"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"not a sweep's description ({error})", where=str(file), mend=BROKEN_SWEEP) from error
