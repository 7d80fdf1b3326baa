"""MovieLens 100k and 1M, as their folders are published."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from divrec.data.reading import as_numbers, content_hash, whole_moments
from divrec.data.sources.source import RawLog
from divrec.errors import DataError
from divrec.schema import CATEGORIES, EVENT, ITEM_ID, TEXT, TIMESTAMP, USER_ID

_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip


class MovieLens:
    """Ratings of movies. 100k: u.data and u.item (Latin-1); 1M: ratings.dat and movies.dat (fields split by ::).

    Each rating from `least` on is an event of the kind "rating"; lower ones are events of the kind "low_rating", so
    that the preparation can leave them out, or read them as history only.

    Args:
        root: the unpacked folder.
        least: lowest rating that counts as a like: 1 = every rating, 5 = only the best.
    """

    name = "movielens"

    def __init__(self, root: str, least: float = 1) -> None:
        self._root, self._least = Path(root), least

    def describe(self) -> dict[str, Any]:
        """Hash of both files."""
        _, ratings, movies = self._release()
        return {"content_hash": content_hash([ratings, movies]), "least": self._least, "reader": 1}

    def read(self) -> RawLog:
        """The whole log.

        Raises:
            DataError: a file is missing, or has lines of another form.
        """
        small, ratings, movies = self._release()
        rows = _rows(ratings, "\t" if small else "::", 4)
        events = pa.table(
            {
                USER_ID: pa.array([row[0] for row in rows]),
                ITEM_ID: pa.array([row[1] for row in rows]),
                TIMESTAMP: whole_moments(pa.array([row[3] for row in rows], pa.string()), UTC),
                "rating": as_numbers(pa.array([row[2] for row in rows], pa.string())),
            }
        )
        liked = pc.greater_equal(events.column("rating"), self._least)
        events = events.append_column(EVENT, pc.if_else(liked, "rating", "low_rating"))
        items = _rows(movies, "|" if small else "::", 5 + len(_GENRES) if small else 3)
        genres = [_flags(row[5:]) if small else row[2].split("|") for row in items]
        catalogue = pa.table(
            {
                ITEM_ID: [row[0] for row in items],
                TEXT: [f"{row[1]}, {', '.join(names)}" for row, names in zip(items, genres, strict=True)],
                "title": [row[1] for row in items],
                CATEGORIES: pa.array(genres, pa.list_(pa.string())),
            }
        )
        return RawLog(events, catalogue, self.describe())

    def _release(self) -> tuple[bool, Path, Path]:
        for small, names in ((True, ("u.data", "u.item")), (False, ("ratings.dat", "movies.dat"))):
            ratings, movies = (self._root / name for name in names)
            if ratings.is_file() and movies.is_file():
                return small, ratings, movies
        raise DataError(
            "holds neither u.data and u.item (100k) nor ratings.dat and movies.dat (1M)",
            where=str(self._root),
            mend="Unpack ml-100k.zip or ml-1m.zip and give the folder: data.root=FOLDER",
        )


def _rows(path: Path, separator: str, fields: int) -> list[list[str]]:
    rows = [line.split(separator) for line in path.read_text(encoding="latin-1").splitlines() if line.strip()]
    bad = next((number for number, row in enumerate(rows) if len(row) != fields), None)
    if bad is not None:
        raise DataError(f"a line has {len(rows[bad])} fields instead of {fields}", where=f"{path}, line {bad + 1}")
    return rows


def _flags(flags: list[str]) -> list[str]:
    return [name for name, flag in zip(_GENRES, flags, strict=True) if flag == "1"]
