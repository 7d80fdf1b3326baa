"""Points between finished siblings: mixed, evaluated, recorded; nothing is trained."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from divrec.evaluation import AS_RANKED, Evaluated, write_point
from divrec.evaluation import point_name as reranked_name
from divrec.models import Dial, changed_weights, save_dial
from divrec.rerank import Reranker
from divrec.run import derived
from divrec.run.assembly import Parts, encoder_identity, rerankers
from divrec.run.finished import evaluate_splits, open_again
from divrec.run.identity import refuse_another_encoder
from divrec.run.siblings import Amounts, FinishedRun, Siblings
from divrec.schema import MODEL_FOLDER, POINTS_FOLDER, RunRecord
from divrec.training import load_weights

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    """A point of a place between the runs: as ranked, or re-ranked.

    Attributes:
        amounts: of the dials.
        strategy: the re-ranker, or None.
    """

    amounts: Amounts
    strategy: Reranker | None

    @property
    def key(self) -> str:
        """Its name among the results of an evaluation."""
        return AS_RANKED if self.strategy is None else reranked_name(self.strategy)

    def folder(self, siblings: Siblings) -> Path:
        """Where it lies: with the run that its first dial leads to."""
        owner, _ = siblings.turned(self.amounts)[0]
        name = siblings.point_name(self.amounts)
        return owner.folder / POINTS_FOLDER / (name if self.strategy is None else f"{name}-{self.key}")


def interpolate(siblings: Siblings, amounts: list[Amounts], strategies: DictConfig, dial: Path | None = None) -> None:
    """Add points between finished runs; those that are there already are left as they are.

    Args:
        siblings: the runs.
        amounts: the places, a number for each run of `toward`.
        strategies: the `rerank` group's nodes.
        dial: folder for what training changed, to turn the model while it serves; None writes nothing.

    Raises:
        RecordError: a point of other runs or parameters lies where one is to be written, or the language model is
            another one by now.
        DataError: the dataset has changed since the runs were trained.
    """
    config = OmegaConf.create(siblings.toward[0].record.config)
    config.rerank = strategies
    asked = [Delivery(place, strategy) for place in amounts for strategy in (None, *rerankers(config))]
    missing = [each for each in asked if not _is_there(each, siblings)]
    if len(missing) < len(asked):
        logger.info("%d of %d points were there before", len(asked) - len(missing), len(asked))
    if not missing and dial is None:
        return
    fingerprint = siblings.base.record.data["fingerprint"]
    for run in siblings.runs:
        refuse_another_encoder(run.record.to_dict(), encoder_identity(config), "encoder.model", str(run.folder))
    parts = open_again(config, fingerprint, siblings.toward[0].folder)
    base, *others = (_weights(parts, run) for run in siblings.runs)
    names = [run.record.name for run in siblings.toward]
    changes = {name: changed_weights(base, other) for name, other in zip(names, others, strict=True)}
    if dial is not None:
        save_dial(dial, base, changes, {run.record.name: run.record.identity for run in siblings.runs})
        logger.info("dials of %s: %s", siblings.base.record.name, dial)
    turned = Dial(parts.model, base, changes)
    for place in dict.fromkeys(each.amounts for each in missing):
        turned.set(*place)
        _deliver(parts, siblings, [each for each in missing if each.amounts == place], config.k)


def _is_there(delivery: Delivery, siblings: Siblings) -> bool:
    own, another = siblings.identity(delivery.amounts), "holds a point between other runs"
    return derived.is_there(delivery.folder(siblings), own, delivery.strategy, another)


def _weights(parts: Parts, run: FinishedRun) -> dict[str, Tensor]:
    load_weights(parts.model, run.folder / MODEL_FOLDER)
    return {name: tensor.detach().clone() for name, tensor in parts.model.state_dict().items()}


def _deliver(parts: Parts, siblings: Siblings, deliveries: list[Delivery], k: int) -> None:
    strategies = [each.strategy for each in deliveries if each.strategy is not None]
    results = evaluate_splits(parts, strategies)
    for each in deliveries:
        folder = each.folder(siblings)
        write_point(folder, _record(siblings, each, results[each.key]), results[each.key])
        ndcg, gini = (results[each.key].metrics["test"][f"{name}@{k}"] for name in ("ndcg", "gini"))
        logger.info("%s: test ndcg %.4f, gini %.4f", folder.name, ndcg, gini)


def _record(siblings: Siblings, delivery: Delivery, evaluated: Evaluated) -> RunRecord:
    """The owner's record with what the mixing changes; a point between runs costs no training."""
    turned = siblings.turned(delivery.amounts)
    owner = turned[0][0].record
    regularizers = {name: weight for run, _ in turned for name, weight in run.record.objective["diversity"].items()}
    own = {
        "identity": siblings.identity(delivery.amounts),
        "name": f"{owner.name}/{delivery.folder(siblings).name}",
        "objective": owner.objective | {"diversity": regularizers},
        "interpolation": siblings.weights(delivery.amounts),
        "cost": owner.cost | {"fit_seconds": 0.0, "steps": 0, "evaluate_seconds": evaluated.seconds},
    }
    return RunRecord(**(owner.to_dict() | derived.facts(evaluated, delivery.strategy) | own))
