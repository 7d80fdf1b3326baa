"""From a config to the parts of a run, in the order in which they need each other."""

from __future__ import annotations

import itertools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig
from torch import nn

from divrec.baselines import Baseline
from divrec.batch import Catalogue
from divrec.data import BehaviorDataModule
from divrec.errors import ConfigError
from divrec.evaluation import Protocol, by_name
from divrec.models import CrossEncoder, ItemTexts, TextEncoder
from divrec.objectives import TradeoffObjective
from divrec.ranking import tie_order
from divrec.rerank import Reranker
from divrec.run.clusters import CLUSTER_SOURCE, cluster_items
from divrec.run.door import build, call, list_sizes
from divrec.run.first_stage import load_first_stage
from divrec.run.hardware import training_device
from divrec.schema import CATEGORIES, ITEM_ID, TEXT

logger = logging.getLogger(__name__)

_POOL = 100  # candidates kept of each ranking for re-rankers, more if one asks for more
_RANKING_CHUNK = 1_000_000  # of runs whose config does not say it


@dataclass(frozen=True)
class Ground:
    """What a run is measured with; all of it but the model.

    Attributes:
        data: set up, with its dataset on disk.
        encoder: the language model.
        texts: the catalogue's texts and their frozen vectors.
        catalogue: the frozen catalogue that diversity is measured with.
        item_ids: the log's own item ids, by catalogue row.
        protocol: how lists are made and measured.
    """

    data: BehaviorDataModule
    encoder: TextEncoder
    texts: ItemTexts
    catalogue: Catalogue
    item_ids: list[str]
    protocol: Protocol


@dataclass(frozen=True)
class Parts:
    """What a run is made of.

    Attributes:
        data: set up, with its dataset on disk.
        encoder: the language model.
        catalogue: the frozen catalogue that diversity is measured with.
        item_ids: the log's own item ids, by catalogue row.
        model: a recommender with fresh weights, or a fitted baseline.
        protocol: how lists are made and measured.
    """

    data: BehaviorDataModule
    encoder: TextEncoder
    catalogue: Catalogue
    item_ids: list[str]
    model: nn.Module
    protocol: Protocol

    @property
    def is_baseline(self) -> bool:
        """Whether there is nothing to train."""
        return isinstance(self.model, Baseline)


def open_data(config: DictConfig) -> BehaviorDataModule:
    """Prepare the dataset, or reuse it, and open it."""
    data: BehaviorDataModule = build(config.data)
    data.prepare_data()
    data.setup()
    return data


def encoder_identity(config: DictConfig) -> str:
    """Identity of the content of the configured language model, whatever it is called and wherever it lies.

    Raises:
        ConfigError: if it is a hub id out of reach.
    """
    encoder: TextEncoder = build(config.encoder)
    return encoder.source.identity()


def assemble(config: DictConfig, data: BehaviorDataModule) -> Parts:
    """Build every part but the objective, which the baselines do without."""
    recipe: Any = build(config.model)  # first: a mistake in it should not wait for the encoder
    return complete(config, lay_ground(config, data), recipe)


def lay_ground(config: DictConfig, data: BehaviorDataModule) -> Ground:
    """Build what a run is measured with."""
    table = data.catalogue
    encoder = _text_encoder(config)
    texts = ItemTexts.encode(encoder, table[TEXT], Path(config.paths.embeddings))
    catalogue = _catalogue(data, texts)
    if data.needs_vectors:
        data.use_vectors(texts.item_vectors)
    return Ground(data, encoder, texts, catalogue, list(table[ITEM_ID]), _protocol(config, catalogue.size))


def complete(config: DictConfig, ground: Ground, recipe: Any) -> Parts:  # noqa: ANN401 - a baseline, or a recipe
    """Build the model on its ground."""
    torch.manual_seed(config.seed)
    model = _model(config, recipe, ground.data, ground.encoder, ground.texts, ground.catalogue)
    return Parts(ground.data, ground.encoder, ground.catalogue, ground.item_ids, model, ground.protocol)


def objective(config: DictConfig, catalogue: Catalogue) -> TradeoffObjective:
    """The loss L + beta * R as configured."""
    regularizers = {
        name: call(build(node), f"diversity.{name}", catalogue=catalogue) for name, node in config.diversity.items()
    }
    return TradeoffObjective(
        build(config.task),
        regularizers,
        build(config.relaxation),
        config.beta,
        config.beta_scale,
        config.exclude_seen,
        catalogue.size,
        spared_N=catalogue.counts_N == 0 if config.spare_new else None,
        compare_seen=config.compare_seen,
    )


def rerankers(config: DictConfig) -> list[Reranker]:
    """One re-ranker for each strategy, strength and price; a node's `diversity` and `exposure` are numbers or lists.

    Raises:
        ConfigError: for a strategy without a strength, a strength that is no number, a pool that cannot fill a list,
            and for two points of one name.
    """
    built, longest = [], max(list_sizes(config))
    for name, node in config.rerank.items():
        knobs = [knob for knob in ("diversity", "exposure") if knob in node]
        for values in itertools.product(*(_numbers(node[knob], f"rerank.{name}.{knob}") for knob in knobs)):
            built.append(call(build(node), f"rerank.{name}", **dict(zip(knobs, values, strict=True))))
        if node.get("pool", _POOL) < longest:
            raise ConfigError(
                f"cannot fill a list of {longest} items (k, or the greatest of metrics.k)",
                where=f"rerank.{name}.pool",
                got=node.get("pool", _POOL),
                mend=f"Raise it: rerank.{name}.pool={longest}",
            )
    by_name(built)
    return built


def _protocol(config: DictConfig, size: int) -> Protocol:
    """Lists as long as the longest that is measured; rankings as long as the largest pool, or the catalogue."""
    pools = [node.get("pool", _POOL) for node in config.rerank.values()]
    return Protocol(
        metrics=build(config.metrics),
        k=max(list_sizes(config)),
        top=max(_POOL, min(size, max(pools, default=_POOL))),
        exclude_seen=config.exclude_seen,
        tie_order_N=tie_order(size, config.seed),
        chunk=config.get("ranking_chunk", _RANKING_CHUNK),
    )


def _numbers(value: object, where: str) -> list[float]:
    """A number, or a list of them, as a list."""
    numbers: list[float] = []
    if isinstance(value, ListConfig) and not value:
        raise ConfigError("no strength is asked for", where=where, got=[], mend="Give a number, or a list of them.")
    for number in value if isinstance(value, ListConfig) else [value]:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ConfigError("must be a number, or a list of them", where=where, got=number)
        numbers.append(float(number))
    return numbers


def _text_encoder(config: DictConfig, **given: Any) -> TextEncoder:  # noqa: ANN401 - arguments of the encoder
    encoder: TextEncoder = build(config.encoder, **given)
    encoder.cache = Path(config.paths.embeddings)
    encoder.training_device = training_device(config.trainer)
    return encoder


def _catalogue(data: BehaviorDataModule, texts: ItemTexts) -> Catalogue:
    table = data.catalogue
    rows: list[list[int]] = table[CATEGORIES][:]
    count = len(data.manifest["category_names"])
    if count == 0:
        labels_N = cluster_items(texts.item_vectors)
        rows, count = labels_N.unsqueeze(-1).tolist(), int(labels_N.max()) + 1
        logger.info("the catalogue has no categories: %d %s stand in", count, CLUSTER_SOURCE)
    widest = max((len(row) for row in rows), default=1) or 1
    categories_NJ = torch.zeros(len(rows), widest, dtype=torch.long)
    weights_NJ = torch.zeros(len(rows), widest)
    for place, row in enumerate(rows):
        if not row:
            continue
        categories_NJ[place, : len(row)] = torch.as_tensor(row)
        weights_NJ[place, : len(row)] = 1 / len(row)
    return Catalogue(
        vectors_ND=texts.item_vectors,
        categories_NJ=categories_NJ,
        category_weights_NJ=weights_NJ,
        category_count=count,
        counts_N=torch.as_tensor(table["count"]),
    )


def category_source(data: BehaviorDataModule) -> str:
    """Where the categories come from that diversity is measured with."""
    return str(data.manifest.get("category_source", "column")) if data.manifest["category_names"] else CLUSTER_SOURCE


def _model(
    config: DictConfig,
    recipe: Any,  # noqa: ANN401 - a baseline, or the recipe of a model
    data: BehaviorDataModule,
    encoder: TextEncoder,
    texts: ItemTexts,
    catalogue: Catalogue,
) -> nn.Module:
    if isinstance(recipe, Baseline):
        recipe.fit(data.train, catalogue)
        return recipe
    kinds = len(data.manifest["event_kinds"])
    if isinstance(recipe, CrossEncoder):
        first_stage = (
            None if recipe.first_stage is None else load_first_stage(recipe.first_stage, config, data, assemble)
        )
        profiles = [] if data.user_profiles is None else data.user_profiles.texts
        return call(recipe, "model", encoder, texts, profiles, first_stage)
    profiles_PW = _profile_vectors(config, data, texts)
    model = call(recipe, "model or user", encoder, build(config.tuning), texts, kinds, data.recent_counts, profiles_PW)
    if not isinstance(model, nn.Module):
        raise ConfigError("builds no module", where="model", got=type(model).__name__)
    return model


def _profile_vectors(config: DictConfig, data: BehaviorDataModule, texts: ItemTexts) -> torch.Tensor | None:
    """Whitened vectors of the users' profile texts, 0 for the empty one; None where no model reads any."""
    if data.profiles is None or data.user_profiles is None:
        return None
    reader = _text_encoder(config, max_tokens=data.profiles.text.max_tokens)
    reader.tokens_key = "data.profiles.text.max_tokens"
    told_PW = texts.whitening(reader.encode_cached(data.user_profiles.texts[1:], Path(config.paths.embeddings)))
    return torch.cat([torch.zeros_like(told_PW[:1]), told_PW])
