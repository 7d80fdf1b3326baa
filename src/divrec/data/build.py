"""From a source to a prepared dataset on disk, named by a fingerprint of all that decides its content."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict

from divrec.data.engine import open_engine
from divrec.data.events import Events, Mask, Roles
from divrec.data.indexing import index
from divrec.data.preparation import Preparation
from divrec.data.privacy import Privacy
from divrec.data.profile import profile
from divrec.data.saving import content_of, save_catalogue, save_split
from divrec.data.selection import select
from divrec.data.sequences import catalogue_table, evaluation_table, number_events, train_table
from divrec.data.sources.source import RawLog, Source
from divrec.data.split import PARTS, Split, Windows
from divrec.data.split import plain as plain_split
from divrec.data.validate import admit
from divrec.errors import DataError
from divrec.schema import SPLITS, TRAIN
from divrec.storage import replacing, write_json

# Part of every fingerprint: raise it when the same source and settings would give another dataset.
FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
QUARANTINE_FILE = "quarantine.parquet"
NO_CATEGORIES = "none: clusters of the frozen text vectors stand in"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resources:
    """With what a dataset is built; it decides nothing of the content.

    Attributes:
        engine: "duckdb" or "spark".
        memory: limit of DuckDB's own memory, as "1GB"; None = as it likes.
    """

    engine: str = "duckdb"
    memory: str | None = None


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
    content = {"format": FORMAT_VERSION, "source": source.describe(), "settings": plain_settings(settings, split)}
    if settings.privacy.pseudonymize:
        content["key"] = settings.privacy.key_check()
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def prepare(
    source: Source, settings: Preparation, split: Split, root: Path, resources: Resources | None = None
) -> PreparedData:
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
                facts = _build(source, settings, split, folder, resources or Resources())
                content = content_of(folder)
                write_json(
                    folder / MANIFEST_FILE,
                    {"name": source.name, "fingerprint": identity, "content": content, **facts},
                )
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


def plain_settings(settings: Preparation, split: Split) -> dict[str, Any]:
    """All settings as plain JSON types."""
    return {**settings.plain(), "split": plain_split(split)}


# --- the build --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Built:
    """What the engine leaves: events as numbers, the catalogue, and what was counted on the way."""

    events: Events
    catalogue: pa.Table
    windows: Windows | None
    facts: dict[str, Any]


def _build(source: Source, settings: Preparation, split: Split, folder: Path, resources: Resources) -> dict[str, Any]:
    """Write everything but the manifest, and return its facts."""
    folder.mkdir()
    log = _let_in(source.read(), settings)
    with open_engine(resources.engine, folder.parent / "scratch", resources.memory) as engine:
        admitted = admit(log, settings.known_kinds, engine, settings.validation)
        pq.write_table(admitted.quarantine, folder / QUARANTINE_FILE)
        indexed = index(admitted, engine)
        admitted.release(engine)
        chosen = select(indexed.events, settings, split, engine)
        events = number_events(chosen.events, indexed, settings.seed)
    counted = {"set_aside": admitted.set_aside, "mended": admitted.mended, "left_out": chosen.left_out}
    built = _Built(events, admitted.catalogue, chosen.windows, counted)
    facts = _write(built, settings, split, folder)
    settings.privacy.check(folder)
    return facts | {"settings": plain_settings(settings, split), "source": log.source}


def _let_in(log: RawLog, settings: Preparation) -> RawLog:
    """The log after what does not look at events: privacy, item texts, levels of categories."""
    if settings.privacy != Privacy():
        log = settings.privacy.apply(log)
    catalogue = log.catalogue
    if settings.categories is not None:
        catalogue = settings.categories(catalogue)
    if settings.text is not None:
        catalogue = settings.text(catalogue)
    return dataclasses.replace(log, catalogue=catalogue)


def _write(built: _Built, settings: Preparation, split: Split, folder: Path) -> dict[str, Any]:
    events = built.events
    roles = Roles(
        *(np.array([kind in chosen for kind in settings.kinds]) for chosen in (settings.targets, settings.inputs))
    )
    division = split.divide(events, roles, built.windows)
    facts: dict[str, Any] = {}
    makers: dict[str, Callable[[], pa.Table]] = {TRAIN: partial(train_table, events, division.train_E)} | {
        name: partial(evaluation_table, events, division.history_E[name], division.targets_E[name], roles.is_input)
        for name in SPLITS
    }
    for name, make in makers.items():  # one after the other: only one of them is in memory
        rows = make()
        if rows.num_rows == 0:
            raise DataError(
                f"no user is left in the split {name}",
                where="data.split",
                mend="Lengthen the windows or raise the shares, lower preparation.core, or name more target kinds.",
            )
        save_split(folder, name, rows)
        facts[name] = _split_facts(name, rows, built.windows)
    write_json(folder / "splits" / "dataset_dict.json", {"splits": list(makers)})
    catalogue, category_names = catalogue_table(events, built.catalogue, division.train_E)
    save_catalogue(folder, catalogue)
    return {
        "users": len(events.user_ids),
        "items": len(events.item_ids),
        "events": len(events.items_E),
        "category_names": category_names,
        "category_source": _category_source(settings, category_names),
        "event_kinds": settings.kinds,
        "event_weights": [float(settings.event_weights[kind]) for kind in settings.kinds],
        "input_kinds": settings.inputs,
        "splits": facts,
        **built.facts,
        "left_out": built.facts["left_out"] | _report_bare(events, division.train_E),
        "profile": profile(events, division, settings.kinds),
    }


def _category_source(settings: Preparation, names: list[str]) -> str:
    if not names:
        return NO_CATEGORIES
    return "column" if settings.categories is None else f"level {settings.categories.level} of a path"


def _report_bare(events: Events, trained: Mask) -> dict[str, int]:
    """Users and items that stay in the dataset without training events; both are warned of."""
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


def _split_facts(name: str, rows: pa.Table, windows: Windows | None) -> dict[str, Any]:
    if name == TRAIN:
        return {"users": rows.num_rows, "events": len(rows.column("items").combine_chunks().values)}
    bounds = {} if windows is None else dict(zip(("start", "end"), windows.bounds(name), strict=True))
    return {"users": rows.num_rows, "targets": len(rows.column("targets").combine_chunks().values), **bounds}
