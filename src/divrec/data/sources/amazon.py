"""Amazon reviews of 2014, 2018 and 2023 as published, or as the sequences that papers share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from divrec.data.reading import Columns, Format, canonical_events, canonical_items, content_hash, read_rows
from divrec.data.sources.amazon_sequences import SEQUENCES, AmazonSequences
from divrec.data.sources.source import RawLog
from divrec.errors import ConfigError, DataError

# release -> canonical name -> key of the review files and of the metadata files.
_REVIEWS = {
    "2014": {"user_id": "reviewerID", "item_id": "asin", "timestamp": "unixReviewTime", "rating": "overall"},
    "2018": {"user_id": "reviewerID", "item_id": "asin", "timestamp": "unixReviewTime", "rating": "overall"},
    "2023": {"user_id": "user_id", "item_id": "parent_asin", "timestamp": "timestamp", "rating": "rating"},
}
_METADATA = {
    "2014": {"item_id": "asin", "title": "title", "brand": "brand", "categories": "categories"},
    "2018": {"item_id": "asin", "title": "title", "brand": "brand", "categories": "category"},
    "2023": {"item_id": "parent_asin", "title": "title", "brand": "store", "categories": "categories"},
}
_NAMED = ("*.json", "*.jsonl", "*.json.gz", "*.jsonl.gz", "*.json.zst", "*.jsonl.zst")


class Amazon:
    """A folder with one category's review file(s) and metadata (file names that start with `meta`).

    Which release it is, the keys of the reviews tell: `parent_asin` is 2023; 2014 and 2018 share theirs and differ in
    the metadata (2014 writes Python literals and a list of paths, 2018 JSON and one path). Timestamps of 2023 are in
    milliseconds, which the door mends. A folder with sequences.txt is read by `AmazonSequences`.

    Args:
        root: the folder.
        release: "2014", "2018", "2023" or "sequences"; None = found out.
        kind: kind of all events.
    """

    name = "amazon"

    def __init__(self, root: str, release: str | None = None, kind: str = "review") -> None:
        if release not in (None, "sequences", *_REVIEWS):
            raise ConfigError("no such release", where="data.source.release", got=release, mend="2014, 2018 or 2023.")
        self._root, self._release, self._kind = Path(root), release, kind

    def describe(self) -> dict[str, Any]:
        """Release and the hash of all files."""
        release = self._found_release()
        if release == "sequences":
            return self._sequences().describe()
        reviews, metadata = self._files()
        return {"release": release, "kind": self._kind, "content_hash": content_hash([*reviews, *metadata])}

    def read(self) -> RawLog:
        """The reviews as a stream, the metadata in memory.

        Raises:
            DataError: a file is missing or broken.
        """
        release = self._found_release()
        if release == "sequences":
            return self._sequences().read()
        reviews, metadata = self._files()
        names = _REVIEWS[release]
        events = canonical_events(read_rows(reviews, list(names.values()), Format("jsonl")), Columns(names, self._kind))
        fields = _METADATA[release]
        form = Format("jsonl", loose=release == "2014" and not _is_json(metadata[0]))
        items = canonical_items(read_rows(metadata, list(fields.values()), form), fields)
        return RawLog(events, items if release == "2014" else _one_path(items), self.describe())

    def _sequences(self) -> AmazonSequences:
        return AmazonSequences(str(self._root), self._kind)

    def _files(self) -> tuple[list[Path], list[Path]]:
        files = sorted({path for pattern in _NAMED for path in self._root.glob(pattern)})
        metadata = [path for path in files if path.name.startswith("meta")]
        reviews = [path for path in files if path not in metadata]
        for found, what in ((reviews, "review file"), (metadata, "metadata file (meta_...)")):
            if not found:
                raise DataError(
                    f"there is no {what}",
                    where=str(self._root),
                    got=[path.name for path in files],
                    mend="Give the folder with both files of a category: data.root=FOLDER",
                )
        return reviews, metadata

    def _found_release(self) -> str:
        if self._release is not None:
            return self._release
        if (self._root / SEQUENCES).is_file():
            return "sequences"
        reviews, metadata = self._files()
        keys = _keys(reviews[0], ["parent_asin", "reviewerID"])
        if "parent_asin" in keys:
            return "2023"
        if "reviewerID" not in keys:
            raise DataError("the reviews have the keys of no release", where=str(reviews[0]))
        return "2018" if "category" in _keys(metadata[0], ["category"]) else "2014"


def _keys(path: Path, names: list[str]) -> set[str]:
    """Which of the keys the first rows of a file have."""
    batch = next(_head(path, names), None)
    return set() if batch is None else {name for name in names if batch.column(name).null_count < len(batch)}


def _head(path: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    try:
        yield next(read_rows([path], names, Format("jsonl")))
    except (StopIteration, DataError):
        return


def _is_json(path: Path) -> bool:
    return bool(_keys(path, ["asin"]))


def _one_path(items: pa.Table) -> pa.Table:
    """2018 and 2023 give an item one path, as a list of its steps: joined, as in 2014."""
    place = items.column_names.index("categories")
    paths = ["|".join(step for step in steps or () if step) for steps in items.column("categories").to_pylist()]
    return items.set_column(
        place, "categories", pa.array([[path] if path else [] for path in paths], pa.list_(pa.string()))
    )
