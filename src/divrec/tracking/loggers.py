"""The loggers of one run, opened and closed together; an empty list stands for no tracking at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytorch_lightning.loggers import Logger

from divrec.schema import RunRecord
from divrec.tracking.guard import Guarded


@contextmanager
def tracked(loggers: Sequence[Logger]) -> Iterator[list[Guarded]]:
    """Guard every logger against its own failures, and close it with its run marked as failed if the block raised."""
    guarded = [Guarded(each) for each in loggers]
    failed = True
    try:
        yield guarded
        failed = False
    finally:
        for each in guarded:
            each.finalize("failed" if failed else "success")
            each.finish(failed)


def log_final(loggers: Sequence[Guarded], record: RunRecord, folder: Path) -> None:
    """Log what a finished run was worth and what it cost, and archive it where a logger can.

    The names are `SPLIT/NAME@k` and `cost/NAME`; they end up in the W&B summary.

    Args:
        loggers: as `tracked` gave them.
        record: of the run.
        folder: of the run, with its weights.
    """
    flat = {f"{split}/{name}": value for split, values in record.metrics.items() for name, value in values.items()}
    flat |= {f"cost/{name}": float(value) for name, value in record.cost.items()}
    for each in loggers:
        each.log_metrics(flat, step=int(record.cost["steps"]))
        each.save()
        each.archive(record, folder)
