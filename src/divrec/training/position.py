"""Where a training stands, seen from the end of a batch: what is kept and what is written down depend on it alike."""

from __future__ import annotations

import pytorch_lightning as pl


def batches_done(trainer: pl.Trainer) -> int:
    """Batches of the training so far, the one that ends now among them."""
    return trainer.fit_loop.epoch_loop.total_batch_idx + 1


def validates_next(trainer: pl.Trainer) -> bool:
    """Whether a validation follows this batch."""
    done = batches_done(trainer)
    return done % int(trainer.val_check_interval or done) == 0
