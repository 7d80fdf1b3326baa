"""Which weights learn at which rate and decay how much; the optimizer itself is torch's."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from divrec.errors import ConfigError, check_number

logger = logging.getLogger(__name__)

POPULARITY_PART = "bias_N"  # last part of the name of the scores that items have for everybody
PLM_PARTS = ("text_tower", "plm")  # a weight whose dotted name has one of these belongs to the language model


@dataclass(frozen=True)
class GroupedOptimizer:
    """Recipe of an optimizer with groups of weights: language model, popularity or the rest, decaying or not.

    Matrices decay; biases, norms and gains never do. Rates are peak rates, which the schedule multiplies.

    Attributes:
        optimizer: parameter groups -> optimizer, such as torch.optim.AdamW.
        learning_rate: of all weights that have no rate of their own.
        weight_decay: larger pulls weights harder toward 0; 0 = not at all.
        plm_learning_rate: of the language model's weights (adapters among them); null = `learning_rate`.
        plm_weight_decay: of the language model's matrices; null = `weight_decay`.
        popularity_learning_rate: of the scores that items have for everybody (model.popularity_bias), which lie on a
            larger scale than vectors do; larger = popularity follows the objective faster; null = `learning_rate`.
        decay_embeddings: whether tables of embeddings decay as other matrices do. An item that is rarely seen is
            pulled toward 0 at each step and pushed away from it at few.

    Raises:
        ConfigError: for numbers out of range, and what the optimizer itself refuses.
    """

    optimizer: Callable[..., Optimizer]
    learning_rate: float
    weight_decay: float = 0.0
    plm_learning_rate: float | None = None
    plm_weight_decay: float | None = None
    popularity_learning_rate: float | None = None
    decay_embeddings: bool = True

    def __post_init__(self) -> None:
        """Check at the door, the optimizer's own settings too."""
        check_number("optimizer.learning_rate", self.learning_rate, above=0)
        check_number("optimizer.weight_decay", self.weight_decay, least=0)
        for key in ("plm_learning_rate", "popularity_learning_rate"):
            if getattr(self, key) is not None:
                check_number(f"optimizer.{key}", getattr(self, key), above=0)
        if self.plm_weight_decay is not None:
            check_number("optimizer.plm_weight_decay", self.plm_weight_decay, least=0)
        if not isinstance(self.decay_embeddings, bool):
            raise ConfigError("must be true or false", where="optimizer.decay_embeddings", got=self.decay_embeddings)
        try:
            self.optimizer([{"params": [nn.Parameter(torch.zeros(1))], "lr": self.learning_rate, "weight_decay": 0.0}])
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"the optimizer refuses its settings ({error})", where="optimizer.optimizer", mend="Mend that key."
            ) from error

    def __call__(self, model: nn.Module) -> Optimizer:
        """The optimizer of a model's trainable weights.

        Raises:
            ConfigError: if there are none.
        """
        groups: dict[tuple[float, float], dict[str, Any]] = {}
        embeddings = _embedding_tables(model)
        plm_weights = popularity_weights = 0
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            is_plm = belongs_to_plm(name)
            plm_weights += is_plm
            popularity_weights += is_popularity(name)
            decays = parameter.ndim > 1 and (self.decay_embeddings or id(parameter) not in embeddings)
            rate, decay = self._rate(name), self._decay(is_plm) if decays else 0.0
            group = groups.setdefault((rate, decay), {"params": [], "lr": rate, "weight_decay": decay})
            group["params"].append(parameter)
        if not groups:
            raise ConfigError("leaves nothing to train", where="model", mend="Choose another tuning or representation.")
        if self.plm_learning_rate is not None and not plm_weights:
            logger.warning("optimizer.plm_learning_rate does nothing: no weight of the language model is trained")
        if self.popularity_learning_rate is not None and not popularity_weights:
            logger.warning("optimizer.popularity_learning_rate does nothing: items have no score for everybody")
        return self.optimizer(list(groups.values()))

    def _rate(self, name: str) -> float:
        own = None
        if belongs_to_plm(name):
            own = self.plm_learning_rate
        elif is_popularity(name):
            own = self.popularity_learning_rate
        return self.learning_rate if own is None else own

    def _decay(self, is_plm: bool) -> float:
        return self.plm_weight_decay if is_plm and self.plm_weight_decay is not None else self.weight_decay


def belongs_to_plm(name: str) -> bool:
    """Whether the parameter of this dotted name is the language model's."""
    return any(part in PLM_PARTS for part in name.split("."))


def is_popularity(name: str) -> bool:
    """Whether the parameter of this dotted name is the scores that items have for everybody."""
    return name.split(".")[-1] == POPULARITY_PART


def _embedding_tables(model: nn.Module) -> set[int]:
    return {id(each.weight) for each in model.modules() if isinstance(each, nn.Embedding | nn.EmbeddingBag)}
