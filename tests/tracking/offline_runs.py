"""Reads W&B runs back from disk: a .wandb file is a LevelDB log of protobuf records."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2 as protocol

_FILE_HEADER, _BLOCK, _FRAME_HEADER = 7, 32768, 7
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


@dataclass
class OfflineRun:
    """One run as W&B wrote it.

    Attributes:
        name: display name.
        group: sweep.
        job_type: kind of run.
        config: flat as logged.
        rows: history, a dictionary a logged step.
        summary: last values, set ones included.
        exit_code: None where the run never finished.
        tags: for filtering.
        axes: metric, or beginning of metrics, -> the metric that it is drawn over.
        artifacts: (type, name) -> its metadata, aliases and file names.
        folder: W&B's folder of the run.
    """

    name: str = ""
    group: str = ""
    job_type: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    exit_code: int | None = None
    tags: set[str] = field(default_factory=set)
    axes: dict[str, str] = field(default_factory=dict)
    artifacts: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    folder: Path = Path()

    @property
    def id(self) -> str:
        """Its id at W&B, as the file's name has it; the folder's name may end in a counter."""
        (file,) = self.folder.glob("run-*.wandb")
        return file.stem.removeprefix("run-")

    @property
    def keys(self) -> set[str]:
        """Everything that was logged."""
        return {key for row in self.rows for key in row} | set(self.summary)


def read_runs(folder: Path) -> list[OfflineRun]:
    """All offline runs below a folder, each once (`latest-run` is a link to one of them)."""
    wandb.teardown()  # W&B writes from a process of its own: wait until it has written everything
    files = {path.resolve() for path in folder.rglob("run-*.wandb")}
    return [_read(path) for path in sorted(files)]


def _read(path: Path) -> OfflineRun:
    run = OfflineRun(folder=path.parent)
    for frame in _frames(path.read_bytes()):
        record = protocol.Record.FromString(frame)
        if record.HasField("run"):
            run.name, run.group, run.job_type = record.run.display_name, record.run.run_group, record.run.job_type
            run.config |= _items(record.run.config.update)
            run.tags |= set(record.run.tags)
        elif record.HasField("metric"):
            run.axes[record.metric.name or record.metric.glob_name] = record.metric.step_metric
        elif record.HasField("artifact"):
            run.artifacts[record.artifact.type, record.artifact.name] = _artifact(record.artifact)
        elif record.HasField("config"):
            run.config |= _items(record.config.update)
        elif record.HasField("history"):
            run.rows.append(_items(record.history.item))
            run.summary |= run.rows[-1]
        elif record.HasField("summary"):
            run.summary |= _items(record.summary.update)
        elif record.HasField("exit"):
            run.exit_code = record.exit.exit_code
    return run


def _artifact(artifact: Any) -> dict[str, Any]:
    files = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
    return {"metadata": json.loads(artifact.metadata or "{}"), "aliases": list(artifact.aliases), "files": files}


def _items(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def _frames(content: bytes) -> Iterator[bytes]:
    assert content[:4] == b":W&B"
    place, parts = _FILE_HEADER, b""
    while place + _FRAME_HEADER <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _FRAME_HEADER:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + _FRAME_HEADER])
        place += _FRAME_HEADER
        if kind not in (_FULL, _FIRST, _MIDDLE, _LAST) or place + length > len(content):
            return
        parts = content[place : place + length] if kind in (_FULL, _FIRST) else parts + content[place : place + length]
        place += length
        if kind in (_FULL, _LAST):
            yield parts
