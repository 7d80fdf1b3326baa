"""The identity of a run: a hash of all that decides its numbers and of nothing else."""

from __future__ import annotations

import copy
import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from divrec import __version__
from divrec.errors import ConfigError, RecordError
from divrec.schema import RECORD_FILE, SCHEMA_VERSION

# Where a run lies, what it is called, who watches it and what else is derived from it decides no number of it.
_IRRELEVANT = (
    "paths",
    "logger",
    "rerank",
    "name",
    "group",
    "kind",
    "report",
    "init_from",
    "threads",
    "checkpoint_minutes",
    "ranking_chunk",  # memory for time; the ranking is the same
    "data.root",  # what lies there counts, through the fingerprint
    "data.source.root",
    "data.datasets_root",
    "data.engine",
    "data.memory",
    "data.num_workers",
    "data.persistent_workers",
    "data.pin_memory",
    "task.chunk",  # memory for time; loss and gradient are the same
    "model.first_stage",  # its identity counts, like that of `init_from`
    "encoder.model",  # its content counts; where it lies does not
    "encoder.runtime.device",  # where it computes
    "trainer.accelerator",
    "trainer.devices",
    "trainer.num_nodes",
    "trainer.strategy",
    "trainer.log_every_n_steps",
)


def relevant(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a resolved config that decides numbers."""
    kept = copy.deepcopy(config)
    for key in _IRRELEVANT:
        *parents, last = key.split(".")
        node: Any = kept
        for parent in parents:
            node = node.get(parent, {}) if isinstance(node, dict) else {}
        if isinstance(node, dict):
            node.pop(last, None)
    if (processes := choosing_processes(config)) is not None:
        kept["tuning"]["table"]["processes"] = processes
    return kept


def choosing_processes(config: Mapping[str, Any]) -> int | str | None:
    """How many processes choose live texts on their own; None where their number decides nothing.

    With a limit, each chooses as many of its share of the batch: not the choice of one process, so that such a run
    trains something else. "auto" stays what it is: it says another number on another machine.

    Args:
        config: resolved, or not.
    """
    trainer, table = config.get("trainer") or {}, (config.get("tuning") or {}).get("table") or {}
    if table.get("live_texts") is None:
        return None
    devices = trainer.get("devices", 1)
    if not isinstance(devices, int | str):
        devices = len(devices)
    if not str(devices).isdigit():
        return str(devices)
    processes = int(devices) * int(trainer.get("num_nodes", 1))
    return processes if processes > 1 else None


def identity(config: dict[str, Any], data_fingerprint: str, encoder: str, base_identity: str | None) -> str:
    """Hash of the relevant config, the data, the language model, the base and the code version.

    Args:
        config: resolved.
        data_fingerprint: of the dataset on disk.
        encoder: identity of the language model's content, whatever it is called and wherever it lies.
        base_identity: of the run in `init_from`, and of the first stage where there is one.
    """
    parts = [SCHEMA_VERSION, __version__, data_fingerprint, encoder, base_identity, relevant(config)]
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=12).hexdigest()


def recorded(folder: Path) -> dict[str, Any] | None:
    """The record of a finished run in this folder, if there is one.

    Raises:
        RecordError: if the file is there and cannot be read.
    """
    file = folder / RECORD_FILE
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return content if content["identity"] else None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise RecordError(
            f"the record is broken ({error})",
            where=str(file),
            mend="Delete the folder that it lies in and start again.",
        ) from error


def finished(folder: Path, where: str) -> dict[str, Any]:
    """The record of a run that has to be finished.

    Args:
        folder: of the run.
        where: the config key that names it.

    Raises:
        RecordError: if there is none, or it cannot be read.
    """
    found = recorded(folder)
    if found is None:
        raise RecordError(
            "holds no finished run", where=where, got=str(folder), mend="Give the folder of a run with a record.json."
        )
    return found


def differences(before: dict[str, Any], after: dict[str, Any], keys: Sequence[str] = ("",)) -> list[str]:
    """The relevant settings that differ between two configs, as "key: before -> after".

    Args:
        before: a resolved config.
        after: another.
        keys: beginnings of the dotted keys that count; all by default.
    """
    one, other = _flat(relevant(before)), _flat(relevant(after))
    return [
        f"{key}: {one.get(key)} -> {other.get(key)}"
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key)
        and any(key == each or key.startswith(f"{each}.") or not each for each in keys)
    ]


def refuse_another(found: dict[str, Any], config: dict[str, Any], folder: Path) -> None:
    """Say which settings differ from those of the finished run that lies in the folder.

    Raises:
        ConfigError: always.
    """
    differing = differences(found["config"], config)
    raise ConfigError(
        "holds a finished run of other settings ("
        + ("; ".join(differing[:5]) or "its data, language model, base or code version differ")
        + ")",
        where=str(folder),
        mend="Choose another folder (hydra.sweep.dir=FOLDER, or hydra.run.dir=FOLDER for one run), or delete this one.",
    )


def code() -> dict[str, str]:
    """Version and commit of the code that runs, as records have them."""
    return {"version": __version__, "commit": commit()}


def refuse_another_encoder(found: dict[str, Any], encoder: str, where: str, folder: str) -> None:
    """Refuse to build on a run with another language model than its own: one name may hold other weights by now.

    Args:
        found: the record of the finished run; one of before this was recorded is taken as it is.
        encoder: identity of the language model's content today.
        where: the config key that names the run.
        folder: of the run.

    Raises:
        RecordError: the language models differ.
    """
    if found["model"].get("encoder_identity", encoder) == encoder:
        return
    raise RecordError(
        "that run has read another language model than the one that is configured now",
        where=where,
        got=folder,
        mend="Put its files back (encoder.model), or train that run again.",
    )


def commit() -> str:
    """The checkout's commit, with `+` for uncommitted changes; empty outside a checkout."""
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def _flat(content: Any, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401 - any JSON
    if not isinstance(content, dict):
        return {prefix: content}
    return {
        key: value
        for name, inner in content.items()
        for key, value in _flat(inner, f"{prefix}.{name}".lstrip(".")).items()
    }
