"""What is written down of a training that has just ended."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from divrec.evaluation import Evaluated
from divrec.objectives import TradeoffObjective
from divrec.run.assembly import Parts, category_source
from divrec.run.door import resolved
from divrec.run.identity import code
from divrec.run.ruler import ruler
from divrec.schema import RULER, RunRecord
from divrec.training import Fitted, belongs_to_plm


@dataclass
class Trained:
    """What a training leaves beside its weights."""

    fitted: Fitted = Fitted(steps=0, seconds=0.0, leads=True)
    terms: TradeoffObjective | None = None


def record_of(
    config: DictConfig, parts: Parts, own: str, model: dict[str, Any], trained: Trained, evaluated: Evaluated
) -> RunRecord:
    """The record of a run that has just been trained and evaluated.

    Args:
        config: of the run.
        parts: what was trained.
        own: identity of the run.
        model: what `model_facts` says.
        trained: how long it took, and the loss.
        evaluated: its lists as they are ranked.
    """
    manifest = parts.data.manifest
    return RunRecord(
        identity=own,
        kind=config.kind,
        name=config.name,
        config=resolved(config),
        seed=config.seed,
        data={key: manifest[key] for key in ("name", "fingerprint", "users", "items", "events")}
        | {"categories": parts.catalogue.category_count, "category_source": category_source(parts.data)}
        | {RULER: ruler(parts.catalogue)},
        model=model,
        objective=_objective_facts(config, parts, trained.terms),
        **evaluated.outcome(),
        cost={
            "fit_seconds": trained.fitted.seconds,
            "evaluate_seconds": evaluated.seconds,
            "steps": trained.fitted.steps,
            "peak_memory_mb": _peak_memory_mb(),
        },
        code=code(),
        exclude_seen=config.exclude_seen,
    )


def model_facts(parts: Parts, encoder: str) -> dict[str, Any]:
    """The language model that a run reads, by name and identity, and counts of parameters."""
    trained = {name: each.numel() for name, each in parts.model.named_parameters() if each.requires_grad}
    return {
        "encoder": "" if parts.is_baseline else parts.encoder.name,
        "encoder_identity": encoder,
        "parameters": sum(each.numel() for each in parts.model.parameters()),
        "trainable": sum(trained.values()),
        "trainable_plm": sum(count for name, count in trained.items() if belongs_to_plm(name)),
    }


def _objective_facts(config: DictConfig, parts: Parts, terms: TradeoffObjective | None) -> dict[str, Any]:
    if parts.is_baseline:
        return {}
    choices = HydraConfig.get().runtime.choices
    return {
        "task": choices.get("task"),
        "diversity": {name: node.get("weight", 1.0) for name, node in config.diversity.items()},
        "relaxation": choices.get("relaxation"),
        "beta": config.beta,
        "beta_scale": config.beta_scale,
        "ratio": {} if terms is None or not terms.needs_calibration else terms.ratio_by_name,
    } | ({"plm_gradient": terms.watched_norms} if terms is not None and terms.watched_norms else {})


def _peak_memory_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)
