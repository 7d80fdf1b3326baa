"""Which config keys the settings of a sweep differ in: what a trial of a search drew, say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from divrec.schema import BASELINE, CONTROL, TRAINED, RunRecord

_TARGET = "_target_"
# Where a run lies, what it is called and on what it runs; its seed; and what the trade-off table has columns for.
_LEFT_OUT = (
    "paths",
    "logger",
    "name",
    "group",
    "kind",
    "init_from",
    "seed",
    "beta",
    "rerank",
    "data",
    "checkpoint_minutes",
    "threads",
    "compile",
    "task._target_",
    "trainer",
)


def flattened(config: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """A nested config as dotted key -> value."""
    flat: dict[str, object] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        flat |= flattened(value, f"{key}.") if isinstance(value, Mapping) else {key: value}
    return flat


def varied_keys(records: Iterable[RunRecord]) -> tuple[str, ...]:
    """Dotted keys in which controls and trained points differ, in alphabetical order.

    Where a key is absent (the order of another regularizer) decides nothing: at least two of those that have it must
    differ. Places, names, seeds, hardware and what the trade-off table shows anyway are left out.

    Args:
        records: of a sweep or a group.
    """
    values: dict[str, set[str]] = {}
    for record in records:
        if record.kind in (CONTROL, TRAINED) and "/" not in record.name:
            for key, value in flattened(record.config).items():
                values.setdefault(key, set()).add(json.dumps(value, sort_keys=True, default=str))
    return tuple(sorted(key for key, found in values.items() if len(found) > 1 and not _left_out(key)))


def varied_values(record: RunRecord, keys: Sequence[str]) -> dict[str, object]:
    """A run's values of varied keys by `short_key`; those that it lacks, and all of a baseline, are left out."""
    flat = {} if record.kind == BASELINE else flattened(record.config)
    return {short_key(key): _plain(key, flat[key]) for key in keys if flat.get(key) is not None}


def short_key(key: str) -> str:
    """A key as a head: the class of a group goes by the group's name ("tuning" for "tuning._target_")."""
    return key.removesuffix(f".{_TARGET}")


def _left_out(key: str) -> bool:
    return any(key == each or key.startswith(f"{each}.") for each in _LEFT_OUT)


def _plain(key: str, value: object) -> object:
    if isinstance(value, int | float | str):
        return str(value).rpartition(".")[2] if key.endswith(_TARGET) else value
    return json.dumps(value, default=str)
