"""A shop's own files: CSV, TSV, JSON lines or Parquet, plain or compressed, with the column mapping in YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from divrec.data.reading import (
    Columns,
    Format,
    canonical_events,
    canonical_items,
    content_hash,
    found_files,
    named,
    read_rows,
)
from divrec.data.sources.source import RawLog
from divrec.errors import ConfigError
from divrec.schema import ITEM_ID


class Files:
    """Event files and catalogue files, wherever they lie.

    Args:
        root: folder that the paths start from; None = the working directory.
        events: path or glob of the event files, or a list of them; rows are numbered through all of them.
        catalogue: path or glob of the catalogue files.
        columns: canonical name -> column of the event files: user_id, item_id, timestamp; event and quantity where
            there are any (null = there is none); further names are kept for the quarantine file.
        catalogue_columns: canonical name -> column of the catalogue files: item_id; text, or fields for
            `preparation.text`; categories where there are any.
        kind: kind of all events where no column tells it.
        kinds: kind as it stands in the files -> name that divrec shall use.
        format, separator, encoding: as `Format` takes them; None = found by name and header.
        catalogue_format, catalogue_separator, catalogue_encoding: the same for the catalogue.
        time_zone: of timestamps that name none.
        time_format: as `strptime` takes it; None = numbers and ISO 8601.
        name: prepared datasets carry it.
    """

    def __init__(
        self,
        events: str | Sequence[str],
        catalogue: str | Sequence[str],
        columns: Mapping[str, str | None],
        catalogue_columns: Mapping[str, str | None],
        root: str | None = None,
        kind: str | None = None,
        kinds: Mapping[str, str] | None = None,
        format: str | None = None,  # noqa: A002 - the word that a user looks for
        separator: str | None = None,
        encoding: str = "utf-8",
        catalogue_format: str | None = None,
        catalogue_separator: str | None = None,
        catalogue_encoding: str = "utf-8",
        time_zone: str = "UTC",
        time_format: str | None = None,
        name: str = "files",
    ) -> None:
        self.name, self._root = name, root
        self._paths = {"events": events, "catalogue": catalogue}
        self._columns = Columns(named(columns), kind, dict(kinds or {}), time_zone, time_format)
        self._item_columns = named(catalogue_columns)
        self._form = Format(format, separator, encoding)
        self._item_form = Format(catalogue_format, catalogue_separator, catalogue_encoding)
        if ITEM_ID not in self._item_columns:
            raise ConfigError(
                "does not say which column is item_id",
                where="data.source.catalogue_columns",
                got=self._item_columns,
                mend="Example: catalogue_columns: {item_id: sku, text: title}",
            )

    def describe(self) -> dict[str, Any]:
        """The mapping and the hash of all files; their paths do not count."""
        return {
            "columns": dict(sorted(self._columns.names.items())),
            "catalogue_columns": dict(sorted(self._item_columns.items())),
            "kind": self._columns.kind,
            "kinds": dict(sorted(self._columns.kinds.items())),
            "formats": [_plain(self._form), _plain(self._item_form)],
            "times": [self._columns.time_zone, self._columns.time_format],
            "content_hash": [content_hash(self._files(part)) for part in self._paths],
        }

    def read(self) -> RawLog:
        """The events as a stream, the catalogue in memory.

        Raises:
            DataError: a file is missing, broken, or lacks a column.
        """
        events = read_rows(self._files("events"), list(self._columns.names.values()), self._form)
        items = read_rows(self._files("catalogue"), list(self._item_columns.values()), self._item_form)
        return RawLog(
            canonical_events(events, self._columns), canonical_items(items, self._item_columns), self.describe()
        )

    def _files(self, part: str) -> list[Path]:
        return found_files(self._paths[part], self._root, f"data.source.{part}")


def _plain(form: Format) -> list[str | None]:
    return [form.kind, form.separator, form.encoding]
