"""Readers: from files of any format to batches of canonical columns, in bounded memory. They know no source."""

from divrec.data.reading.columns import Columns, as_numbers, canonical_events, canonical_items, named
from divrec.data.reading.content import content_hash, found_files
from divrec.data.reading.moments import whole_moments
from divrec.data.reading.rows import Format, read_rows

__all__ = [
    "Columns",
    "Format",
    "as_numbers",
    "canonical_events",
    "canonical_items",
    "content_hash",
    "found_files",
    "named",
    "read_rows",
    "whole_moments",
]
