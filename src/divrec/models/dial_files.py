"""Dials on disk: only what training changed, a safetensors file for each dial, and dial.json that names them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from divrec.errors import RecordError
from divrec.models.dial import Dial, State
from divrec.storage import replacing, write_json

DIAL_FILE = "dial.json"


def save_dial(folder: Path, base: State, changes: Mapping[str, State], origin: Mapping[str, Any]) -> None:
    """Write what training changed; the base's own weights are not among it.

    Args:
        folder: where to.
        base: state at which every dial stands at 0.
        changes: what `changed_weights` gave, by the name of its dial.
        origin: whatever tells where base and dials come from.
    """
    for name, change in changes.items():
        with replacing(folder / _file(name)) as temporary:
            save_file({key: tensor.detach().cpu().contiguous() for key, tensor in change.items()}, temporary)
    write_json(folder / DIAL_FILE, {"base": fingerprint(base), "dials": list(changes), "origin": dict(origin)})


def load_dial(folder: Path, model: nn.Module) -> Dial:
    """Put dials on a model that holds the weights of their base.

    Args:
        folder: that `save_dial` wrote.
        model: with the base's weights.

    Raises:
        RecordError: a file is missing or broken, or the model holds other weights than the base's.
    """
    try:
        said = json.loads((folder / DIAL_FILE).read_text(encoding="utf-8"))
        belongs_to = str(said["base"])
        changes = {str(name): load_file(folder / _file(str(name))) for name in said["dials"]}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise RecordError(f"no dials here ({error})", where=str(folder), mend="Write them again.") from error
    base = model.state_dict()
    if belongs_to != fingerprint(base):
        raise RecordError(
            "these dials belong to another base",
            where=str(folder),
            mend="Load the base's weights into the model first.",
        )
    return Dial(model, base, changes)


def fingerprint(state: State) -> str:
    """Hash of a state: names, types, shapes and values."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _file(name: str) -> str:
    return f"{name}.safetensors"
