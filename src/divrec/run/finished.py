"""A finished run, opened again: its record, its data, its parts, and what it delivers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from divrec.errors import DataError
from divrec.evaluation import Evaluated, evaluate
from divrec.rerank import Reranker
from divrec.run.assembly import Parts, assemble, open_data
from divrec.schema import TEST, VALIDATION


def open_again(config: DictConfig, fingerprint: str, folder: Path) -> Parts:
    """The parts of a finished run, its model with fresh weights.

    Args:
        config: the run's.
        fingerprint: of the data that it was trained on.
        folder: of the run.

    Raises:
        DataError: if the dataset has changed since.
    """
    data = open_data(config)
    if data.manifest["fingerprint"] != fingerprint:
        raise DataError(
            "the data has changed since this run was trained",
            where=str(folder),
            got=data.manifest["fingerprint"],
            mend="Train it again.",
        )
    return assemble(config, data)


def evaluate_splits(parts: Parts, strategies: Sequence[Reranker]) -> dict[str, Evaluated]:
    """What the model delivers on validation and test, as ranked and re-ranked."""
    splits = {VALIDATION: parts.data.val_dataloader(), TEST: parts.data.test_dataloader()}
    return evaluate(parts.model, splits, parts.catalogue, parts.item_ids, parts.protocol, strategies)
