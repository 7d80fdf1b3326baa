"""A model's weights on disk, as safetensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from divrec.errors import ConfigError, RecordError
from divrec.storage import replacing

WEIGHTS_FILE = "model.safetensors"


def save_weights(model: nn.Module, folder: Path) -> None:
    """Write the model's own weights (a frozen language model is not among them) to FOLDER/model.safetensors."""
    with replacing(folder / WEIGHTS_FILE) as temporary:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}, temporary)


def load_weights(model: nn.Module, folder: Path) -> None:
    """Load FOLDER/model.safetensors into a model of the same shape.

    Raises:
        RecordError: if the file is missing or broken.
        ConfigError: if its weights belong to another model.
    """
    file = folder / WEIGHTS_FILE
    if not file.is_file():
        raise RecordError("no weights here", where=str(file), mend="Train the run first, or mend init_from.")
    try:
        weights: dict[str, Any] = load_file(file)
    except (SafetensorError, OSError) as error:
        raise RecordError(
            f"the weights cannot be read ({error})", where=str(file), mend="Delete the run's folder and train it again."
        ) from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(
            f"the weights belong to another model ({str(error).splitlines()[-1].strip()})",
            where="init_from",
            got=str(folder),
            mend="Use the same model, user, tuning and data as the run it came from.",
        ) from error
