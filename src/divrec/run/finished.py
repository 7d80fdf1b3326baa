"""A finished run, opened again: its record, its data, its parts, and what it delivers."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from divrec import __version__
from divrec.batch import EvaluationBatch
from divrec.data import BehaviorDataModule
from divrec.errors import DataError
from divrec.evaluation import Evaluated, ModelRanker, evaluate, evaluate_ranked
from divrec.kept_ranking import KeepingRanker, Ranker, RankingFiles
from divrec.rerank import Reranker
from divrec.run.assembly import Ground, Parts, assemble, complete, encoder_identity, lay_ground, open_data
from divrec.run.door import build
from divrec.run.identity import finished, refuse_another_encoder
from divrec.schema import MODEL_FOLDER, RANKING_FOLDER, SPLITS, TEST, VALIDATION
from divrec.training import load_weights
from divrec.training.weights import WEIGHTS_FILE

logger = logging.getLogger(__name__)


def open_again(config: DictConfig, fingerprint: str, folder: Path) -> Parts:
    """The parts of a finished run, its model with fresh weights.

    Args:
        config: the run's.
        fingerprint: of the data that it was trained on.
        folder: of the run.

    Raises:
        DataError: if the dataset has changed since.
    """
    return assemble(config, open_data_again(config, fingerprint, folder))


def open_data_again(config: DictConfig, fingerprint: str, folder: Path) -> BehaviorDataModule:
    """The data of a finished run.

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
    return data


def evaluate_splits(parts: Parts, strategies: Sequence[Reranker]) -> dict[str, Evaluated]:
    """What the model delivers on validation and test, as ranked and re-ranked."""
    return evaluate(parts.model, _splits(parts.data), parts.catalogue, parts.item_ids, parts.protocol, strategies)


def evaluate_again(
    config: DictConfig, record: Mapping[str, Any], folder: Path, strategies: Sequence[Reranker], keep_ranking: bool
) -> dict[str, Evaluated]:
    """What a finished run delivers re-ranked; without building its model where its ranking was kept.

    Args:
        config: the run's, with paths of today.
        record: the run's.
        folder: of the run.
        strategies: re-rankers.
        keep_ranking: whether a ranking is read from RUN/ranking, or left there; false ranks anew and writes nothing.

    Raises:
        DataError: if the dataset has changed since.
        RecordError: if the weights are missing or broken, or the language model is another one by now.
    """
    refuse_another_encoder(dict(record), encoder_identity(config), "encoder.model", str(folder))
    data = open_data_again(config, record["data"]["fingerprint"], folder)
    ground = lay_ground(config, data)
    ranker = _keeping(config, record, folder, ground) if keep_ranking else _trained(config, ground, folder)
    return evaluate_ranked(ranker, _splits(data), ground.catalogue, ground.item_ids, ground.protocol, strategies)


def _splits(data: BehaviorDataModule) -> dict[str, Iterable[EvaluationBatch]]:
    return {VALIDATION: data.val_dataloader(), TEST: data.test_dataloader()}


def _trained(config: DictConfig, ground: Ground, folder: Path) -> ModelRanker:
    model = complete(config, ground, build(config.model)).model
    load_weights(model, folder / MODEL_FOLDER)
    return ModelRanker(model.to(ground.catalogue.counts_N.device), ground.protocol)


def _keeping(config: DictConfig, record: Mapping[str, Any], folder: Path, ground: Ground) -> Ranker:
    depends_on = _depends_on(config, record, folder, ground)
    asked = RankingFiles(folder / RANKING_FOLDER, depends_on, ground.protocol.kept)
    found = asked.longest(SPLITS)
    if found.top < asked.top:
        logger.info("the top %d of %s are too few for %d: ranked anew", found.top, found.folder, asked.top)
    kept = found.read(SPLITS) if found.top >= asked.top else None
    if kept is None:
        return KeepingRanker(_trained(config, ground, folder), asked)
    logger.info("ranked before: %s", found.folder)
    return kept


def _depends_on(config: DictConfig, record: Mapping[str, Any], folder: Path, ground: Ground) -> dict[str, Any]:
    """All that decides how the run ranks: what it is, its weights as they lie there now, and what its texts became."""
    vectors_ND = ground.catalogue.vectors_ND.cpu().contiguous().view(torch.uint8)
    return {
        "version": __version__,
        "identity": record["identity"],
        "data": ground.data.manifest["fingerprint"],
        "weights": weights_hash(folder, config),
        "vectors": hashlib.blake2b(vectors_ND.numpy().tobytes(), digest_size=12).hexdigest(),
        "exclude_seen": config.exclude_seen,
        "seed": config.seed,
    }


def weights_hash(folder: Path, config: Mapping[str, Any]) -> str:
    """Hash of a run's weights and of those of the run that chooses its candidates, if there is one.

    Args:
        folder: of the run.
        config: the run's.

    Raises:
        RecordError: the run that chooses its candidates is not there.
    """
    file = folder / MODEL_FOLDER / WEIGHTS_FILE
    if not file.is_file():
        return ""  # nothing was kept under that name, and the model is found missing in a moment
    with file.open("rb") as opened:
        own = hashlib.file_digest(opened, lambda: hashlib.blake2b(digest_size=12)).hexdigest()
    first_stage = config["model"].get("first_stage")
    if first_stage is None:
        return own
    first = finished(Path(first_stage), "model.first_stage")
    return f"{own} behind {weights_hash(Path(first_stage), first['config'])}"
