"""A job of a cluster as the driver sees it: waiting, under way or ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.utils import JobReturn, JobStatus

from hydra_plugins.divrec_plugins._pool import Listener, Outcome
from hydra_plugins.divrec_plugins._worker import RunProcessError, tail

if TYPE_CHECKING:
    from submitit import Job


@dataclass
class QueuedJob:
    """One run of a wave; it is under way once its job has printed something.

    Attributes:
        name: of the run.
        job: submitit's.
        overrides: of the run.
        began: when it was first seen under way; None while it waits.
        returned: how it ended; None before.
    """

    name: str
    job: Job[JobReturn]
    overrides: Sequence[str]
    began: float | None = None
    returned: JobReturn | None = None

    def look(self, listener: Listener) -> None:
        """See how far the job is; submitit asks Slurm itself once a minute, and files on disk in between."""
        ended = self.job.done()
        if self.began is None and (ended or self.job.paths.stdout.is_file()):
            self.began = time.monotonic()
            listener.started(self.name, f"job {self.job.job_id}")
        if ended and self.began is not None:
            self.returned = _returned(self.job, self.overrides)
            failed = self.returned.status != JobStatus.COMPLETED
            listener.ended(self.name, Outcome(self.returned._return_value, failed, time.monotonic() - self.began))


def _returned(job: Job[JobReturn], overrides: Sequence[str]) -> JobReturn:
    """What a job returned, once it has ended; a failure with its last lines if it died."""
    from submitit.core.utils import UncompletedJobError

    try:
        return job.results()[0]
    except Exception as error:  # killed, out of memory, out of time: submitit raises, and the other jobs go on
        if not isinstance(error, UncompletedJobError):  # as of a disk: the job itself may go on, too
            job.cancel(check=False)
        paths = [job.paths.stderr, job.paths.stdout]  # the former only where they are kept apart
        said = next((lines for lines in map(tail, paths) if lines), str(error).splitlines()[:1])
        message = f"job {job.job_id} ended without a result (state {job.state})"
        returned = JobReturn(overrides=list(overrides))
        returned.status = JobStatus.FAILED
        returned.return_value = RunProcessError("\n    | ".join([message, *said]))
        return returned
