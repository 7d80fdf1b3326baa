"""A logger that never stops a training: what it cannot log is lost with one warning, and the work goes on."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pytorch_lightning.loggers import Logger

from divrec.schema import RunRecord

logger = logging.getLogger(__name__)


@runtime_checkable
class Finishing(Protocol):
    """A logger whose run has to be closed with its outcome."""

    def finish(self, failed: bool) -> None:
        """Close the run."""
        ...


@runtime_checkable
class Archiving(Protocol):
    """A logger that keeps more of a finished run than its values: its weights, and where they come from."""

    def archive(self, record: RunRecord, folder: Path) -> None:
        """Keep it."""
        ...


class Guarded(Logger):
    """Hands everything on to another logger until that one fails; from then on it is left in peace.

    Args:
        inner: the logger.
    """

    def __init__(self, inner: Logger) -> None:
        super().__init__()
        self.inner = inner
        self._broken = False

    @property
    def name(self) -> str | None:
        """Of the experiment."""
        name: str | None = self._try(lambda: self.inner.name)
        return name

    @property
    def version(self) -> int | str | None:
        """Of the experiment."""
        version: int | str | None = self._try(lambda: self.inner.version)
        return version

    @property
    def save_dir(self) -> str | None:
        """Where the inner logger writes."""
        folder: str | None = self._try(lambda: self.inner.save_dir)
        return folder

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log values by name."""
        self._try(lambda: self.inner.log_metrics(dict(metrics), step))

    def log_hyperparams(self, params: dict[str, Any] | Namespace) -> None:
        """Log the config."""
        self._try(lambda: self.inner.log_hyperparams(params))

    def save(self) -> None:
        """Write what is waiting to be written."""
        self._try(self.inner.save)

    def finalize(self, status: str) -> None:
        """End the logging."""
        self._try(lambda: self.inner.finalize(status))

    def archive(self, record: RunRecord, folder: Path) -> None:
        """Keep a finished run's weights and origin, where the inner logger can."""
        inner = self.inner
        if isinstance(inner, Archiving):
            self._try(lambda: inner.archive(record, folder))

    def finish(self, failed: bool) -> None:
        """Close the run, where the inner logger has one: even if it is broken, or the next run would go on in it."""
        inner = self.inner
        if isinstance(inner, Finishing):
            self._try(lambda: inner.finish(failed), even_if_broken=True)

    def _try(self, action: Callable[[], Any], even_if_broken: bool = False) -> Any:  # noqa: ANN401 - as the action
        if self._broken and not even_if_broken:
            return None
        try:
            return action()
        except Exception as error:
            # A tracker may fail in any way (network, disk, its own defects); none of them is worth a training.
            if not self._broken:
                self._broken = True
                logger.warning(
                    "%s failed and is left out from here on; the training goes on (%s: %s)",
                    type(self.inner).__name__,
                    type(error).__name__,
                    error,
                )
            return None
