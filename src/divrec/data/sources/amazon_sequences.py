"""Amazon reviews as sequences: `user item1 item2 ...` in time order, the form in which papers share Beauty 2014."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from divrec.data.reading import Format, canonical_items, content_hash, read_rows
from divrec.data.sources.source import RawLog
from divrec.errors import DataError
from divrec.schema import EVENT, ITEM_ID, TIMESTAMP, USER_ID

SEQUENCES, ITEMS = "sequences.txt", "items.tsv"
_START, _DAY = 946_684_800, 86_400  # 2000-01-01; a day between one item and the next
_FIELDS = {ITEM_ID: "item_id", "title": "title", "brand": "brand", "categories": "categories"}


class AmazonSequences:
    """A folder with sequences.txt and items.tsv (item_id, title, brand, categories as a path).

    The files hold an order and no times. Timestamps are therefore made up, a day from each item to the next, from the
    same day for everybody: good for leave-one-out, without meaning across users, and the manifest says so.

    Args:
        root: the folder.
        kind: kind of all events.
    """

    name = "amazon"

    def __init__(self, root: str, kind: str = "review") -> None:
        self._root, self._kind = Path(root), kind

    def describe(self) -> dict[str, Any]:
        """Hash of both files."""
        files = [self._file(name) for name in (SEQUENCES, ITEMS)]
        return {
            "content_hash": content_hash(files),
            "kind": self._kind,
            "times": "made up: a day from each item of a user to the next; only the order is real",
        }

    def read(self) -> RawLog:
        """The whole log.

        Raises:
            DataError: a file is missing, or a line of the sequences is no sequence.
        """
        path = self._file(SEQUENCES)
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        short = next((number for number, row in enumerate(rows) if len(row) < 2), None)
        if short is not None:
            raise DataError("a line has a user and no item", where=f"{path}, line {short + 1}", got=rows[short])
        lengths = np.array([len(row) - 1 for row in rows], dtype=np.int64)
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        events = pa.table(
            {
                USER_ID: pa.array([row[0] for row in rows], pa.string()).take(
                    pa.array(np.repeat(np.arange(len(rows)), lengths))
                ),
                ITEM_ID: pa.array([item for row in rows for item in row[1:]], pa.string()),
                TIMESTAMP: pa.array(_START + (np.arange(lengths.sum()) - starts) * _DAY),
                EVENT: pa.repeat(pa.scalar(self._kind), int(lengths.sum())),
            }
        )
        items = canonical_items(read_rows([self._file(ITEMS)], list(_FIELDS.values()), Format("tsv")), _FIELDS)
        return RawLog(events, items, self.describe())

    def _file(self, name: str) -> Path:
        path = self._root / name
        if not path.is_file():
            raise DataError("no such file", where=str(path), mend="Give the folder: data.root=FOLDER")
        return path
