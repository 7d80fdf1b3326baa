"""The loggers of one run, opened and closed together; an empty list stands for no tracking at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pytorch_lightning.loggers import Logger


@contextmanager
def tracked(loggers: Sequence[Logger]) -> Iterator[Sequence[Logger]]:
    """Close every logger at the end, with its run marked as failed if the block raised."""
    failed = True
    try:
        yield loggers
        failed = False
    finally:
        for logger in loggers:
            logger.finalize("failed" if failed else "success")
            finish = getattr(logger, "finish", None)
            if finish is not None:
                finish(failed)


def log_final(loggers: Sequence[Logger], metrics: Mapping[str, Mapping[str, float]], step: int) -> None:
    """Log a finished run's metrics as `SPLIT/NAME@k`; they end up in the W&B summary."""
    flat = {f"{split}/{name}": value for split, values in metrics.items() for name, value in values.items()}
    for logger in loggers:
        logger.log_metrics(flat, step=step)
        logger.save()
