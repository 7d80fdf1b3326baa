"""The model of a finished run as the first stage of another: it chooses the items that the second one looks at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from omegaconf import DictConfig, OmegaConf
from torch import nn

from divrec.data import BehaviorDataModule
from divrec.errors import ConfigError, DataError
from divrec.models import TextEncoder
from divrec.run.door import build
from divrec.run.identity import finished, refuse_another_encoder
from divrec.schema import MODEL_FOLDER
from divrec.training import load_weights


class _Assembled(Protocol):
    @property
    def model(self) -> nn.Module: ...


def load_first_stage(
    folder: str,
    config: DictConfig,
    data: BehaviorDataModule,
    assemble: Callable[[DictConfig, BehaviorDataModule], _Assembled],
) -> nn.Module:
    """Build the run's model again and load its weights.

    Args:
        folder: of the finished run.
        config: of the second stage; says where vectors are cached, and on which device texts are encoded.
        data: of the second stage, whose batches both read.
        assemble: (config, data) -> parts of a run.

    Raises:
        RecordError: there is no finished run, or its language model is another one by now.
        DataError: it was trained on other data.
        ConfigError: it reads other profile texts than the second stage.
    """
    found = finished(Path(folder), "model.first_stage")
    if found["data"]["fingerprint"] != data.manifest["fingerprint"]:
        raise DataError(
            f"was trained on other data ({found['data']['name']}, {found['data']['fingerprint']})",
            where="model.first_stage",
            got=folder,
            mend="Use one data set, prepared alike, for both stages.",
        )
    first = OmegaConf.create(found["config"])
    own, other = config.data.get("profiles"), first.data.get("profiles")
    if other is not None and other != own:
        raise ConfigError(
            "reads other profile texts", where="data.profiles", got=own, mend=f"Set them as in {folder}: {other}."
        )
    encoder: TextEncoder = build(first.encoder)
    refuse_another_encoder(found, encoder.source.identity(), "model.first_stage", folder)
    first.paths, first.trainer = config.paths, config.trainer
    model = assemble(first, data).model
    load_weights(model, Path(folder) / MODEL_FOLDER)
    return model
