"""Privacy at the door: pseudonyms instead of user ids, columns that stay outside, and a check of what was written."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from divrec.data.sources.source import RawLog
from divrec.errors import ConfigError, DataError
from divrec.schema import ORIGINAL, USER_ID

_WHERE = "data.preparation.privacy"
_SHORTEST_KEY = 16
_TEXT_FILES = (".csv", ".tsv", ".json", ".jsonl")


@dataclass(frozen=True)
class Privacy:
    """What of a log may come in.

    A pseudonym is a keyed hash (BLAKE2b, 128 bits) of the user id without the spaces around it. Whoever has the key can
    tell which pseudonym belongs to an id; without it nobody can, not even by trying all ids. The same key gives the
    same pseudonyms again; with another key the dataset is another one.

    Attributes:
        pseudonymize: replace user ids.
        key_variable: environment variable that holds the key, at least 16 characters; it is never written anywhere.
        drop: columns of the log and the catalogue that are dropped before anything is looked at or written.
        personal: columns that must not reach the outputs under their name; dropped too.
    """

    pseudonymize: bool = False
    key_variable: str = "DIVREC_ID_KEY"
    drop: Sequence[str] = ()
    personal: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Refuse to pseudonymize without a key."""
        if USER_ID in (*self.drop, *self.personal):
            raise ConfigError("user_id cannot be dropped", where=_WHERE, mend="Set pseudonymize: true instead.")
        if self.pseudonymize:
            self._key()

    def apply(self, log: RawLog) -> RawLog:
        """The log as it may come in."""
        gone = {*self.drop, *self.personal}
        if self.pseudonymize:
            gone.add(ORIGINAL)  # may hold a whole row as it stood, ids and all
        catalogue = log.catalogue.drop_columns([name for name in log.catalogue.column_names if name in gone])
        schema = pa.schema([each for each in log.events.schema if each.name not in gone])
        if isinstance(log.events, pa.Table):
            events: pa.Table | pa.RecordBatchReader = pa.Table.from_batches(
                self._batches(log.events.to_batches(), schema), schema
            )
        else:
            events = pa.RecordBatchReader.from_batches(schema, self._batches(log.events, schema))
        return RawLog(events, catalogue, log.source, log.rules)

    def plain(self) -> dict[str, Any]:
        """As plain JSON types, for the manifest; nothing of the key."""
        return {
            "pseudonymize": self.pseudonymize,
            "drop": sorted(self.drop),
            "personal": sorted(self.personal),
        }

    def key_check(self) -> str:
        """Tells one key from another inside a fingerprint; not written as it is."""
        return self.pseudonym("divrec") if self.pseudonymize else ""

    def pseudonym(self, user: str) -> str:
        """Pseudonym of a user id."""
        digest = hashlib.blake2b(user.strip().encode(), key=self._key(), digest_size=16)
        return digest.hexdigest()

    def check(self, folder: Path) -> None:
        """Refuse an output folder in which a personal column has arrived.

        Raises:
            DataError: names file and column.
        """
        found = columns_in(folder, [*self.drop, *self.personal])
        if found:
            raise DataError(
                "a personal column has reached the outputs",
                where=f"{found[0][0]}, column {found[0][1]}",
                got=[name for _, name in found],
                mend="Delete the folder, and drop the column at its source.",
            )

    def _key(self) -> bytes:
        key = os.environ.get(self.key_variable, "").encode()
        if len(key) < _SHORTEST_KEY:
            raise ConfigError(
                f"needs a key of at least {_SHORTEST_KEY} characters in the environment variable {self.key_variable}",
                where=f"{_WHERE}.pseudonymize",
                mend=f"Run: export {self.key_variable}=$(openssl rand -hex 32), and keep it in a safe place.",
            )
        return hmac.digest(b"divrec user ids", key, "sha256")

    def _batches(
        self, batches: Sequence[pa.RecordBatch] | pa.RecordBatchReader, schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = {name: batch.column(name) for name in schema.names}
            if self.pseudonymize:
                columns[USER_ID] = self._pseudonyms(columns[USER_ID])
            yield pa.RecordBatch.from_arrays(list(columns.values()), schema=schema)

    def _pseudonyms(self, users: pa.Array) -> pa.Array:
        encoded = users.dictionary_encode()
        names = [self.pseudonym(user) if user.strip() else None for user in encoded.dictionary.to_pylist()]
        return pc.take(pa.array(names, users.type), encoded.indices)


def columns_in(folder: Path, names: Sequence[str]) -> list[tuple[str, str]]:
    """Where under a folder a column (or JSON key) of one of these names stands: (file, name) pairs.

    Args:
        folder: searched with all its sub-folders: Parquet, Arrow, CSV, TSV, JSON and JSON lines.
        names: of columns.
    """
    found = []
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        present = _columns_of(path, names)
        found += [(str(path.relative_to(folder)), name) for name in names if name in present]
    return found


def _columns_of(path: Path, names: Sequence[str]) -> set[str]:
    if path.suffix == ".parquet":
        return set(pq.read_schema(path).names)
    if path.suffix == ".arrow":
        with pa.memory_map(str(path)) as stream:
            return set(pa.ipc.open_stream(stream).schema.names)
    if path.suffix in _TEXT_FILES and names:
        return _keys_of(path, names)
    return set()


def _keys_of(path: Path, names: Sequence[str]) -> set[str]:
    """Names that stand as a key or in the header; a name among the settings of the privacy itself is no leak."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix in (".csv", ".tsv"):
        header = text.split("\n", 1)[0]
        return {field.strip().strip('"') for field in header.replace("\t", ",").split(",")}
    return {name for name in names if f'"{name}":' in text.replace('" :', '":')}
