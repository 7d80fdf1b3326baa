"""Prepared tables on disk as Hugging Face datasets, and the hash of what is in them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
from datasets import Dataset, DatasetInfo, Features

from divrec.data.split import PARTS
from divrec.schema import TRAIN, catalogue_features, evaluation_features, sequence_features

_ROWS = 10_000  # users hashed at a time


def save_split(folder: Path, name: str, rows: pa.Table) -> None:
    """Write FOLDER/splits/NAME, a part of the DatasetDict in FOLDER/splits."""
    features = sequence_features() if name == TRAIN else evaluation_features()
    _save(rows, features, folder / "splits" / name, f"{folder.name}-{name}")


def save_catalogue(folder: Path, catalogue: pa.Table) -> None:
    """Write FOLDER/catalogue."""
    _save(catalogue, catalogue_features(), folder / "catalogue", f"{folder.name}-catalogue")


def content_of(folder: Path) -> str:
    """Hash of the rows of all splits and of the catalogue: the same content has the same hash, whoever built it."""
    digest = hashlib.sha256()
    for name in (*(f"splits/{part}" for part in PARTS), "catalogue"):
        dataset = Dataset.load_from_disk(str(folder / name)).with_format("arrow")
        for column in dataset.column_names:
            digest.update(column.encode())
            parts: dict[str, Any] = {}
            for table in dataset.select_columns([column]).iter(_ROWS):
                _feed(parts, table.column(column).combine_chunks())
            for part in sorted(parts):
                digest.update(parts[part].digest())
    return digest.hexdigest()


def _feed(parts: dict[str, Any], array: pa.Array, depth: str = "") -> None:
    """Hash values, and the lengths of lists and strings, each by itself: so it does not matter where a batch ends."""
    if pa.types.is_list(array.type):
        _update(parts, f"{depth}lengths", array.value_lengths())
        _feed(parts, array.flatten(), f"{depth}values")
    elif pa.types.is_string(array.type):
        parts.setdefault(f"{depth}texts", hashlib.sha256()).update(
            "".join(f"{text}\0" for text in array.to_pylist()).encode()
        )
    else:
        _update(parts, f"{depth}numbers", array)


def _update(parts: dict[str, Any], name: str, numbers: pa.Array) -> None:
    values = np.ascontiguousarray(numbers.to_numpy(zero_copy_only=False))
    parts.setdefault(name, hashlib.sha256()).update(values.view(np.uint8))


def _save(table: pa.Table, features: Features, path: Path, identity: str) -> None:
    """A Hugging Face dataset around Arrow memory; nothing passes through the library's cache."""
    with _quietly():
        info = DatasetInfo(features=features)
        Dataset(table.cast(features.arrow_schema), info=info, fingerprint=identity).save_to_disk(str(path))


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
