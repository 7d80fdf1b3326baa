"""One training, from its config to its record. Heavy imports live here: `--help` and mistakes answer at once."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from divrec.errors import ConfigError, RecordError
from divrec.evaluation import AS_RANKED, Evaluated, point_name, write_point
from divrec.objectives import TradeoffObjective
from divrec.rerank import Reranker
from divrec.run import derived
from divrec.run.assembly import Parts, assemble, encoder_identity, objective, open_data, rerankers
from divrec.run.door import build, call, resolved
from divrec.run.finished import evaluate_again, evaluate_splits
from divrec.run.hardware import check_hardware, warn_of_own_choices
from divrec.run.identity import (
    finished,
    identity,
    recorded,
    refuse_another,
    refuse_another_encoder,
)
from divrec.run.recording import Trained, model_facts, record_of
from divrec.schema import (
    BASE,
    BASELINE,
    CONTROL,
    MODEL_FOLDER,
    POINTS_FOLDER,
    TEST,
    TRAINED,
    RunRecord,
)
from divrec.storage import held
from divrec.tracking import log_final, tracked
from divrec.training import (
    AUC_OF_CANDIDATES,
    RecommenderModule,
    TrainingCheckpoint,
    compile_in_place,
    fit,
    leads,
    load_weights,
    save_weights,
)

logger = logging.getLogger(__name__)

_LOCK_FILE = ".lock"


def train(config: DictConfig) -> None:
    """Train (or fit a baseline), evaluate and record; does nothing where a finished run of this identity lies.

    Raises:
        ConfigError, DataError, RecordError: see `divrec.errors`.
    """
    check_hardware(config, HydraConfig.get().mode is RunMode.MULTIRUN)
    folder = Path(HydraConfig.get().runtime.output_dir)
    _settle(config, folder)
    with _sole_writer(folder):
        _train(config, folder)


def _train(config: DictConfig, folder: Path) -> None:
    strategies = rerankers(config)
    data = open_data(config)
    settings = resolved(config)  # first: a value that is missing is told by its key
    encoder = encoder_identity(config)
    own = identity(settings, data.manifest["fingerprint"], encoder, _base_identity(config, encoder))
    checkpoint = TrainingCheckpoint(folder, own, config.checkpoint_minutes)
    found = recorded(folder)
    if found is not None:
        if found["identity"] != own:
            refuse_another(found, settings, folder)
        logger.info("finished before: nothing to train in %s", folder)
        checkpoint.discard()
        rerank(folder, config.rerank)
        return
    config.kind = config.kind or _kind(config)
    parts = assemble(config, data)
    with tracked([build(node) for node in config.logger.values()] if leads() else []) as loggers:
        for each in loggers:
            each.log_hyperparams(resolved(config))
        trained = Trained() if parts.is_baseline else _fit(config, parts, loggers, checkpoint)
        if not trained.fitted.leads:
            return
        save_weights(parts.model, folder / MODEL_FOLDER)
        results = evaluate_splits(parts, strategies)
        record = record_of(config, parts, own, model_facts(parts, encoder), trained, results[AS_RANKED])
        # Derived points first: a folder with a record of its own tells that all of it is there.
        _write_derived(folder, record, results, strategies)
        write_point(folder, record, results[AS_RANKED])
        checkpoint.discard()
        log_final(loggers, record, folder)
    names = [f"{name}@{config.k}" for name in ("ndcg", "coverage", "gini")]
    logger.info("test %s", ", ".join(f"{name} {record.metrics[TEST][name]:.4f}" for name in names))


def rerank(folder: Path, strategies: DictConfig, keep_ranking: bool = False) -> None:
    """Add re-ranked points to a finished run; those that are there already are left as they are.

    Args:
        folder: of the run.
        strategies: the `rerank` group's nodes.
        keep_ranking: whether the run's ranking is read from its folder, or left there; false ranks anew.

    Raises:
        RecordError: if there is no finished run, or a point of the same name and of other parameters.
        DataError: if its dataset has changed since.
        ConfigError: if a strategy's parameters make no sense.
    """
    found = finished(folder, "run")
    config = OmegaConf.create(found["config"])
    config.rerank = strategies
    asked = {point_name(each): each for each in rerankers(config)}
    another = "holds a point of another training"
    there = [
        name for name, each in asked.items() if derived.is_there(_place(folder, name), found["identity"], each, another)
    ]
    if there:
        logger.info("already there: %s", ", ".join(there))
    missing = [each for name, each in asked.items() if name not in there]
    if not missing:
        return
    results = evaluate_again(config, found, folder, missing, keep_ranking)
    _write_derived(folder, RunRecord(**found), results, missing)
    logger.info("added %s", ", ".join(point_name(each) for each in missing))


def _settle(config: DictConfig, folder: Path) -> None:
    """Threads, seeds, the run's name; and quiet for what Lightning says of itself at every start."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    if not leads():
        logging.getLogger("divrec").setLevel(logging.WARNING)  # the first process says it all
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    torch.set_num_threads(config.threads)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    config.name = config.name or folder.name
    if HydraConfig.get().mode is RunMode.MULTIRUN:
        config.group = config.group or folder.parent.name


def _sole_writer(folder: Path) -> AbstractContextManager[None]:
    """One training at a time writes into a run's folder; those that help the first process have no need to ask."""
    if not leads():
        return nullcontext()
    refusal = RecordError(
        "another process is training this run",
        where=str(folder),
        mend="Wait for its end, or end it (scancel JOB for what an earlier sweep has left on Slurm); then start again.",
    )
    return held(folder / _LOCK_FILE, refusal)


def _kind(config: DictConfig) -> str:
    if config.model.get("_target_", "").startswith("divrec.baselines"):
        return BASELINE
    if config.beta > 0:
        return TRAINED
    return BASE if config.schedule.patience is not None else CONTROL


def _base_identity(config: DictConfig, encoder: str) -> str | None:
    """Identities of the finished runs that this one builds on: its start, and the first stage of its model."""
    start, first_stage = config.init_from, config.model.get("first_stage")
    identities = [] if start is None else [_identity_of(start, "init_from", encoder)]
    identities += [] if first_stage is None else ["behind " + _identity_of(first_stage, "model.first_stage")]
    return ", ".join(identities) or None


def _identity_of(folder: str, key: str, encoder: str | None = None) -> str:
    """Identity of a finished run; refused where it has read another language model than `encoder`, if one is given."""
    found = recorded(Path(folder))
    if found is None:
        raise RecordError(
            "holds no finished run to build on",
            where=key,
            got=str(folder),
            mend=f"Train that run first, or set {key}=null.",
        )
    if encoder is not None:
        refuse_another_encoder(found, encoder, key, str(folder))
    return str(found["identity"])


def _fit(config: DictConfig, parts: Parts, loggers: Any, checkpoint: TrainingCheckpoint) -> Trained:  # noqa: ANN401
    if config.init_from is not None:
        load_weights(parts.model, Path(config.init_from) / MODEL_FOLDER)
    terms = objective(config, parts.catalogue)
    module = build_module(config, parts, terms)
    schedule = module.schedule
    logger.info(
        "training up to %d steps, beta %g, diversity %s", schedule.steps, config.beta, list(config.diversity) or "none"
    )
    known = [f"validation/{name}" for name in module.metrics.all_names]
    known += [AUC_OF_CANDIDATES] if module.configure_callbacks() else []
    if config.monitor not in known:
        raise ConfigError("no such validation value", where="monitor", got=config.monitor, mend=f"Use {known}.")
    warn_of_own_choices(config)
    trainer = partial(call, build(config.trainer), "trainer")
    if config.compile:
        compile_in_place(parts.model)
    fitted = fit(module, parts.data, trainer, loggers, config.monitor, _show_bar(), checkpoint)
    return Trained(fitted, terms)


def build_module(config: DictConfig, parts: Parts, terms: TradeoffObjective) -> RecommenderModule:
    """What a training moves, with fresh weights or those of `parts`."""
    schedule = build(config.schedule)  # before the optimizer that takes its rate from it: the message names the key
    return RecommenderModule(
        parts.model,
        terms,
        call(parts.protocol.metrics, "metrics", parts.catalogue),
        build(config.optimizer),
        schedule,
        parts.protocol.tie_order_N,
        config.exclude_seen,
    )


def _show_bar() -> bool:
    """A bar needs a terminal of its own; the runs of a sweep share one and log lines instead."""
    return sys.stderr.isatty() and HydraConfig.get().mode is not RunMode.MULTIRUN


def _write_derived(
    folder: Path, record: RunRecord, results: Mapping[str, Evaluated], strategies: list[Reranker]
) -> None:
    for each in strategies:
        name = point_name(each)
        own = {"name": f"{record.name}/{name}", "cost": record.cost | {"evaluate_seconds": results[name].seconds}}
        facts = record.to_dict() | derived.facts(results[name], each) | own
        write_point(_place(folder, name), RunRecord(**facts), results[name])


def _place(folder: Path, name: str) -> Path:
    return folder / POINTS_FOLDER / name
