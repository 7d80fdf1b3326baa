"""A data set of the Hugging Face hub, or a local folder of one; streamed where that is asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from divrec.data.reading import Columns, canonical_events, canonical_items, content_hash, named
from divrec.data.sources.source import RawLog
from divrec.errors import DataError

_BATCH = 1 << 14


class HuggingFace:
    """Two tables of the hub (or of disk): events and catalogue.

    Args:
        events: id of a data set on the hub, or folder: one that `save_to_disk` has written, or one of data files.
        catalogue: the same for the catalogue; None = the events' own.
        columns, catalogue_columns, kind, kinds, time_zone, time_format: as for `Files`.
        events_config, catalogue_config: name of the configuration, where a data set has several.
        events_split, catalogue_split: which split to read.
        revision: commit of the hub's repository; name one, so that the content cannot change under a fingerprint.
        streaming: read without a download of the whole.
        name: prepared datasets carry it.
    """

    def __init__(
        self,
        events: str,
        columns: Mapping[str, str | None],
        catalogue_columns: Mapping[str, str | None],
        catalogue: str | None = None,
        kind: str | None = None,
        kinds: Mapping[str, str] | None = None,
        time_zone: str = "UTC",
        time_format: str | None = None,
        events_config: str | None = None,
        catalogue_config: str | None = None,
        events_split: str = "train",
        catalogue_split: str = "train",
        revision: str | None = None,
        streaming: bool = False,
        root: str | None = None,
        name: str = "huggingface",
    ) -> None:
        self.name, self._revision, self._streaming = name, revision, streaming
        self._events = (_place(events, root), events_config, events_split)
        self._catalogue = (_place(catalogue or events, root), catalogue_config, catalogue_split)
        self._columns = Columns(named(columns), kind, dict(kinds or {}), time_zone, time_format)
        self._item_columns = named(catalogue_columns)

    def describe(self) -> dict[str, Any]:
        """Ids, revision and mapping; for local folders the hash of their files instead of the path."""
        facts = {
            "events": _facts(*self._events),
            "catalogue": _facts(*self._catalogue),
            "revision": self._revision,
            "columns": dict(sorted(self._columns.names.items())),
            "catalogue_columns": dict(sorted(self._item_columns.items())),
            "kind": self._columns.kind,
            "kinds": dict(sorted(self._columns.kinds.items())),
            "times": [self._columns.time_zone, self._columns.time_format],
        }
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return {**facts, "content_hash": digest}

    def read(self) -> RawLog:
        """The events as a stream, the catalogue in memory.

        Raises:
            DataError: the data set cannot be loaded, or lacks a column.
        """
        events = self._batches(*self._events, list(self._columns.names.values()))
        items = self._batches(*self._catalogue, list(self._item_columns.values()))
        return RawLog(
            canonical_events(events, self._columns), canonical_items(items, self._item_columns), self.describe()
        )

    def _batches(self, place: str, config: str | None, split: str, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        loaded = self._loaded(place, config, split)
        names = loaded.column_names or list(next(iter(loaded)))
        missing = [name for name in wanted if name not in names]
        if missing:
            raise DataError(f"there is no column {', '.join(missing)}", where=place, got=names)
        for table in loaded.select_columns(list(dict.fromkeys(wanted))).with_format("arrow").iter(_BATCH):
            yield from table.to_batches()

    def _loaded(self, place: str, config: str | None, split: str) -> Any:  # noqa: ANN401 - map-style or streamed
        import datasets

        try:
            if (Path(place) / "dataset_dict.json").is_file() or (Path(place) / "state.json").is_file():
                loaded = datasets.load_from_disk(place)
                return loaded[split] if isinstance(loaded, datasets.DatasetDict) else loaded
            return datasets.load_dataset(place, config, split=split, streaming=self._streaming, revision=self._revision)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise DataError(
                f"the data set cannot be loaded ({str(error).splitlines()[0][:200]})",
                where=place,
                got={"config": config, "split": split, "revision": self._revision},
                mend="Check id, configuration and split; without a connection give a local folder.",
            ) from error


def _place(given: str, root: str | None) -> str:
    local = Path(root or ".") / given
    return str(local) if local.is_dir() else given


def _facts(place: str, config: str | None, split: str) -> list[str | None]:
    folder = Path(place)
    if not folder.is_dir():
        return [place, config, split]
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return [content_hash(files), config, split]
