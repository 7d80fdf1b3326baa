"""From a source to a prepared dataset on disk, named by a fingerprint of all that decides its content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, DatasetInfo, Features

from divrec.data.engine import DuckDBEngine, Engine
from divrec.data.preparation import Preparation
from divrec.data.relational import first_touch, k_core, strongest_of_moment
from divrec.data.sequences import Events, catalogue_table, evaluation_table, number_events, train_table
from divrec.data.sources import RawLog, Source
from divrec.data.split import PARTS, Split, Windows, label
from divrec.data.validate import Admitted, admit
from divrec.errors import DataError
from divrec.schema import (
    ITEM_ID,
    SPLITS,
    TEST,
    TRAIN,
    USER_ID,
    VALIDATION,
    catalogue_features,
    evaluation_features,
    sequence_features,
)
from divrec.storage import replacing, write_json

# Part of every fingerprint: raise it when the same source and settings would give another dataset.
FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
QUARANTINE_FILE = "quarantine.parquet"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedData:
    """A prepared dataset, memory-mapped from disk.

    Attributes:
        path: its folder.
        manifest: counts, names, settings and source (see `manifest.json`).
        splits: "train", "validation" and "test", a row a user.
        catalogue: a row an item.
    """

    path: Path
    manifest: dict[str, Any]
    splits: DatasetDict
    catalogue: Dataset


def fingerprint(source: Source, settings: Preparation, split: Split) -> str:
    """Hash of all that decides a dataset's content: the source's facts, the settings, the split and the format."""
    content = {"format": FORMAT_VERSION, "source": source.describe(), "settings": _plain_settings(settings, split)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def prepare(source: Source, settings: Preparation, split: Split, root: Path) -> PreparedData:
    """Build a dataset, or load it where it has been built before.

    The folder ROOT/NAME-FINGERPRINT appears whole or not at all; of two processes that build it at once, the later one
    takes what the earlier has left.

    Raises:
        DataError: the log cannot be used, or nothing is left of it.
    """
    identity = fingerprint(source, settings, split)
    path = Path(root) / f"{source.name}-{identity}"
    if path.is_dir() and not (path / MANIFEST_FILE).is_file():
        raise DataError("not a whole dataset", where=str(path), mend="Delete the folder and start again.")
    if not path.is_dir():
        try:
            with replacing(path) as folder:
                _build(source.read(), settings, split, folder, {"name": source.name, "fingerprint": identity})
        except OSError:
            if not (path / MANIFEST_FILE).is_file():
                raise
            _logger.info("another process has built %s meanwhile", path.name)
    return load(path)


def load(path: Path) -> PreparedData:
    """Open a prepared dataset.

    Raises:
        DataError: the folder is not a prepared dataset, or of another format.
    """
    manifest_file = path / MANIFEST_FILE
    if not manifest_file.is_file():
        raise DataError("not a prepared dataset", where=str(path), mend="Prepare it first: make data")
    manifest = json.loads(manifest_file.read_text(encoding="utf-8"))
    splits = {name: Dataset.load_from_disk(path / "splits" / name) for name in PARTS}
    return PreparedData(path, manifest, DatasetDict(splits), Dataset.load_from_disk(path / "catalogue"))


# --- the build --------------------------------------------------------------------------------------------------------


def _build(log: RawLog, settings: Preparation, split: Split, folder: Path, identity: dict[str, str]) -> None:
    with DuckDBEngine() as engine:
        admitted = admit(log, list(settings.event_weights), engine)
        windows = split.windows(admitted.events)
        table, left_out = _select(admitted, settings, windows, engine)
    events = number_events(table, settings.seed)
    is_target = np.array([kind in settings.targets for kind in settings.kinds])
    tables = {TRAIN: train_table(events)} | {name: evaluation_table(events, name, is_target) for name in SPLITS}
    for name, rows in tables.items():
        if rows.num_rows == 0:
            raise DataError(
                f"no user is left in the split {name}",
                where="data.split",
                mend="Lengthen the windows, lower preparation.core, or name more kinds as targets.",
            )
    catalogue, category_names = catalogue_table(events, admitted.catalogue)
    left_out |= _report_bare(events)
    _save(folder, tables, catalogue)
    pq.write_table(admitted.quarantine, folder / QUARANTINE_FILE)
    facts = {
        **identity,
        "users": len(events.user_ids),
        "items": len(events.item_ids),
        "events": len(events.items_E),
        "category_names": category_names,
        "event_kinds": settings.kinds,
        "event_weights": [float(settings.event_weights[kind]) for kind in settings.kinds],
        "splits": {name: _split_facts(name, rows, windows) for name, rows in tables.items()},
        "set_aside": admitted.set_aside,
        "left_out": left_out,
        "settings": _plain_settings(settings, split),
        "source": log.source,
    }
    write_json(folder / MANIFEST_FILE, facts)


def _select(
    admitted: Admitted, settings: Preparation, windows: Windows, engine: Engine
) -> tuple[pa.Table, dict[str, int]]:
    """The events of the dataset, and how many events, users and items the log had beside them."""
    moments = engine.materialize(strongest_of_moment(admitted.events, settings.kinds))
    once = engine.materialize(first_touch(moments)) if settings.repeats == "first" else moments
    chosen = engine.materialize(label(k_core(once, settings.core, engine), windows))
    events = [int(table.count().to_pyarrow().as_py()) for table in (admitted.events, moments, once, chosen)]
    if events[-1] == 0:
        raise DataError(
            f"no user and item is left in the {settings.core}-core",
            where="data.preparation.core",
            got=settings.core,
            mend="Lower the core.",
        )
    left_out = {
        "events of weight 0 or repeated within a moment": events[0] - events[1],
        "events after the first of a user-item pair": events[1] - events[2],
        "events outside the core": events[2] - events[3],
    }
    for column, name in ((USER_ID, "users"), (ITEM_ID, "items")):
        counts = [int(table[column].nunique().to_pyarrow().as_py()) for table in (once, chosen)]
        left_out[f"{name} outside the core"] = counts[0] - counts[1]
    return chosen.to_pyarrow(), left_out


def _report_bare(events: Events) -> dict[str, int]:
    """Users and items that stay in the dataset without training events; both are warned of."""
    trained = events.parts_E == PARTS.index(TRAIN)
    users = len(events.user_ids) - len(np.unique(events.users_E[trained]))
    items = len(events.item_ids) - len(np.unique(events.items_E[trained]))
    if users:
        _logger.warning(
            "%d of %d users have no training events; no model learns from them", users, len(events.user_ids)
        )
    if items:
        _logger.warning(
            "%d of %d items have no training events; they are ranked all the same", items, len(events.item_ids)
        )
    return {"users without training events": users, "items without training events": items}


def _split_facts(name: str, rows: pa.Table, windows: Windows) -> dict[str, Any]:
    if name == TRAIN:
        return {"users": rows.num_rows, "events": len(rows.column("items").combine_chunks().values)}
    start, end = windows.bounds(name)
    return {
        "users": rows.num_rows,
        "targets": len(rows.column("targets").combine_chunks().values),
        "start": start,
        "end": end,
    }


def _plain_settings(settings: Preparation, split: Split) -> dict[str, Any]:
    return {**settings.plain(), "split": dataclasses.asdict(split)}  # type: ignore[call-overload]


def _save(folder: Path, tables: dict[str, pa.Table], catalogue: pa.Table) -> None:
    features = {TRAIN: sequence_features(), VALIDATION: evaluation_features(), TEST: evaluation_features()}
    identity = folder.name
    with _quietly():
        splits = {name: _dataset(rows, features[name], f"{identity}-{name}") for name, rows in tables.items()}
        DatasetDict(splits).save_to_disk(folder / "splits")
        _dataset(catalogue, catalogue_features(), f"{identity}-catalogue").save_to_disk(folder / "catalogue")


def _dataset(table: pa.Table, features: Features, identity: str) -> Dataset:
    """A Hugging Face dataset around Arrow memory; nothing passes through the library's cache."""
    return Dataset(table.cast(features.arrow_schema), info=DatasetInfo(features=features), fingerprint=identity)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the library's progress bars, which would fill a log."""
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
