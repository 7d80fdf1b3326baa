"""Which files a path means, and the hash of what is in them."""

from __future__ import annotations

import functools
import glob
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from divrec.errors import ConfigError, DataError

_CHUNK = 1 << 20


def found_files(patterns: str | Sequence[str], root: str | Path | None, where: str) -> list[Path]:
    """The files that one or several paths or globs mean, in the order of their names.

    Args:
        patterns: paths or globs (`**` goes through folders), relative to `root`.
        root: folder that relative patterns start from; None = the working directory.
        where: config key of the patterns, for the error.

    Raises:
        DataError: a pattern finds no file.
        ConfigError: there is no pattern.
    """
    wanted = [patterns] if isinstance(patterns, str) else list(patterns)
    if not wanted:
        raise ConfigError("names no file", where=where, mend="Give a path or a glob, or a list of them.")
    files: list[Path] = []
    for pattern in wanted:
        full = str(Path(root or ".") / Path(pattern).expanduser())
        hits = sorted(path for path in map(Path, glob.glob(full, recursive=True)) if path.is_file())  # noqa: PTH207
        if not hits:
            raise DataError("no such file", where=where, got=full, mend="Check the path; data.root is its start.")
        files += [path for path in hits if path not in files]
    return files


def content_hash(files: Iterable[Path]) -> str:
    """Hash of the bytes of several files, in the order given; a file that has not changed is hashed once a process."""
    digest = hashlib.sha256()
    for path in files:
        facts = path.stat()
        digest.update(_hash_of(path, facts.st_size, facts.st_mtime_ns))
    return digest.hexdigest()


@functools.lru_cache(maxsize=4096)
def _hash_of(path: Path, size: int, modified: int) -> bytes:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()
