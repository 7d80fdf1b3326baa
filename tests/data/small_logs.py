"""Small logs made by hand."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from divrec.data import RawLog

DAY = 86_400
START = 1_704_067_200  # 2024-01-01, UTC

# user, item, timestamp, kind
Event = tuple[str | None, str | None, int | None, str | None]


def event_table(rows: Sequence[Event]) -> pa.Table:
    users, items, times, kinds = zip(*rows, strict=True) if rows else ([], [], [], [])
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "item_id": pa.array(items, pa.string()),
            "timestamp": pa.array(times, pa.int64()),
            "event": pa.array(kinds, pa.string()),
        }
    )


def catalogue_table(items: Sequence[str | None]) -> pa.Table:
    return pa.table(
        {
            "item_id": pa.array(items, pa.string()),
            "text": pa.array([f"text of {item}" for item in items]),
            "categories": pa.array([f"category {index % 3}" for index in range(len(items))]),
        }
    )


@dataclass(frozen=True)
class Given:
    """A source that gives tables made by hand; reads are counted."""

    events: pa.Table
    catalogue: pa.Table
    name: str = "given"
    reads: list[int] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        content = json.dumps([self.events.to_pylist(), self.catalogue.to_pylist()], sort_keys=True, default=str)
        return {"content_hash": hashlib.sha256(content.encode()).hexdigest()}

    def read(self) -> RawLog:
        self.reads.append(1)
        return RawLog(self.events, self.catalogue, self.describe())


def regular_rows(users: int = 6, items: int = 8, days: int = 12) -> list[Event]:
    """Everybody buys every day: two items in one basket."""
    return [
        (f"u{user}", f"i{(user + 2 * day + place) % items}", START + day * DAY + user, "purchase")
        for day in range(days)
        for user in range(users)
        for place in range(2)
    ]
