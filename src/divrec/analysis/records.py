"""Reads what evaluation wrote: the record, the per-user values and the delivered lists of each point of a sweep."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from divrec.errors import RecordError
from divrec.schema import (
    CONTROL,
    GROUPS_FILE,
    ITEM_ID,
    KINDS,
    POINTS_FOLDER,
    RANK,
    RECORD_FILE,
    SCHEMA_VERSION,
    SCORE,
    SLATES_FILE,
    SPLIT,
    SPLITS,
    USER_ID,
    USERS_FILE,
    RunRecord,
)

SWEEP_FILE = "sweep.json"
BROKEN_SWEEP = "Delete the file, and start the sweep again: finished runs are kept, and it is written anew."
_AGAIN = "Evaluate this point again, or delete its folder to leave it out."
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sweep:
    """What a sweep's folder holds.

    Attributes:
        name: name of the sweep.
        points: (record, folder) of every readable point, runs in the expected order, each followed by its derived ones.
        missing: names that the sweep expected and that have no record.
        broken: one message for each record that could not be read.
        controls: names of the controls that the sweep expects, whether they have a readable record or not.
    """

    name: str
    points: tuple[tuple[RunRecord, Path], ...]
    missing: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()


def read_record(folder: Path) -> RunRecord:
    """Read the record of one point.

    Args:
        folder: folder that holds record.json.

    Raises:
        RecordError: the file is missing, is no JSON, has another schema, or lacks something.
    """
    path = folder / RECORD_FILE
    content = _read_json(path)
    if not isinstance(content, dict):
        raise RecordError("not a JSON object", where=str(path), got=type(content).__name__, mend=_AGAIN)
    if content.get("schema") != SCHEMA_VERSION:
        raise RecordError(
            f"another schema than {SCHEMA_VERSION}",
            where=str(path),
            got=content.get("schema"),
            mend="Evaluate this point again with the installed version of divrec.",
        )
    fields = dataclasses.fields(RunRecord)
    names = {field.name for field in fields}
    optional = {"rerank", "interpolation", "exclude_seen", "undefined", "empty_histories", "schema"}
    if wrong := (names - optional - content.keys()) | (content.keys() - names):
        raise RecordError("keys missing or unknown", where=str(path), got=sorted(wrong), mend=_AGAIN)
    _check_content(content, path)
    metrics = {split: _numbers(values, f"{path}: metrics.{split}") for split, values in content["metrics"].items()}
    return RunRecord(**(content | {"metrics": metrics}))


def read_users(folder: Path, split: str | None = None) -> pd.DataFrame:
    """Per-user values of a point: columns split, user_id and one float column a metric (NaN = undefined).

    Args:
        folder: folder of the point.
        split: "validation" or "test"; None reads both.

    Raises:
        RecordError: the file is missing or unreadable, or lacks a column, or has a user twice in a split.
    """
    path = folder / USERS_FILE
    users = _read_parquet(path, {SPLIT, USER_ID}, split)
    if users.duplicated([SPLIT, USER_ID]).any():
        doubled = users.loc[users.duplicated([SPLIT, USER_ID]), USER_ID].iloc[0]
        raise RecordError("a user appears twice in a split", where=str(path), got=str(doubled), mend=_AGAIN)
    metrics = [name for name in users.columns if name not in (SPLIT, USER_ID)]
    strange = [name for name in metrics if not pd.api.types.is_numeric_dtype(users[name])]
    if strange:
        raise RecordError("metric columns that are not numbers", where=str(path), got=strange, mend=_AGAIN)
    return users.astype(dict.fromkeys(metrics, "float64"))


def read_slates(folder: Path, split: str | None = None) -> pd.DataFrame:
    """Delivered lists of a point: columns split, user_id, rank (from 1), item_id, score.

    Args:
        folder: folder of the point.
        split: "validation" or "test"; None reads both.

    Raises:
        RecordError: the file is missing or unreadable, or lacks a column.
    """
    return _read_parquet(folder / SLATES_FILE, {SPLIT, USER_ID, RANK, ITEM_ID, SCORE}, split)


def read_groups(folder: Path, split: str | None = None) -> pd.DataFrame:
    """Metrics of a point by group: columns split, grouping, group, metric, value (NaN = undefined), users.

    Args:
        folder: folder of the point.
        split: "validation" or "test"; None reads both.

    Raises:
        RecordError: the file is missing (points of earlier versions have none) or unreadable, or lacks a column.
    """
    return _read_parquet(folder / GROUPS_FILE, {SPLIT, "grouping", "group", "metric", "value", "users"}, split)


def read_sweep(folder: Path) -> Sweep:
    """Read every point of a sweep; what cannot be read is a warning and is left out.

    Args:
        folder: the sweep's folder; sweep.json in it names the points that are expected.

    Raises:
        RecordError: the folder does not exist, its sweep.json is broken, or there is neither a record nor a sweep.json.
    """
    name, kinds = _read_expected(folder)
    expected = list(kinds)
    found = sorted(path.parent.name for path in folder.glob(f"*/{RECORD_FILE}") if not path.parent.name.startswith("."))
    order = [*expected, *(run for run in found if run not in expected)]
    if not order:
        raise RecordError("no sweep here", where=str(folder), mend="Give the folder that holds the runs of a sweep.")
    points: list[tuple[RunRecord, Path]] = []
    broken: list[str] = []
    names: set[str] = set()
    for run in order:
        own = [folder / run, *sorted(path.parent for path in (folder / run / POINTS_FOLDER).glob(f"*/{RECORD_FILE}"))]
        for place in own if run in found else []:
            try:
                record = read_record(place)
                if record.name in names:
                    raise RecordError("another record has this name", where=str(place), got=record.name, mend=_AGAIN)
                names.add(record.name)
                points.append((record, place))
            except RecordError as error:
                broken.append(str(error))
                _log.warning("left out: %s", error)
    missing = tuple(run for run in expected if run not in found)
    if missing:
        _log.warning("%s: %d expected points have no record: %s", name, len(missing), ", ".join(missing))
    controls = tuple(run for run, kind in kinds.items() if CONTROL in (kind, run.partition("-")[0]))
    return Sweep(name, tuple(points), missing, tuple(broken), controls)


def _read_expected(folder: Path) -> tuple[str, dict[str, str]]:
    """Name of a sweep, and name -> kind of its expected runs; without sweep.json (collected by hand) there are none."""
    if not folder.is_dir():
        raise RecordError("no such folder", where=str(folder), mend="Give the folder of a sweep.")
    path = folder / SWEEP_FILE
    if not path.exists():
        return folder.name, {}
    content = _read_json(path, BROKEN_SWEEP)
    try:
        return str(content["name"]), {str(run["name"]): str(run.get("kind", "")) for run in content["expected"]}
    except (AttributeError, KeyError, TypeError) as error:
        raise RecordError("not a sweep's description", where=str(path), got=content, mend=BROKEN_SWEEP) from error


def _read_json(path: Path, mend: str = _AGAIN) -> Any:  # noqa: ANN401 - whatever JSON holds; the caller checks
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecordError("the file is missing", where=str(path), mend=_AGAIN) from error
    except (OSError, ValueError) as error:
        raise RecordError("not readable as JSON", where=str(path), got=str(error), mend=mend) from error


def _read_parquet(path: Path, needed: set[str], split: str | None) -> pd.DataFrame:
    try:
        present = set(pq.read_schema(path).names)
        if needed <= present:
            filters = None if split is None else [(SPLIT, "=", split)]
            frame: pd.DataFrame = pq.read_table(path, filters=filters).to_pandas()
            return frame
    except FileNotFoundError as error:
        raise RecordError("the file is missing", where=str(path), mend=_AGAIN) from error
    except (OSError, pa.ArrowException) as error:
        raise RecordError("not readable as Parquet", where=str(path), got=str(error), mend=_AGAIN) from error
    raise RecordError("columns missing", where=str(path), got=sorted(needed - present), mend=_AGAIN)


def _check_content(content: dict[str, Any], path: Path) -> None:
    for key in ("config", "data", "model", "objective", "metrics", "cost", "code"):
        if not isinstance(content[key], dict):
            raise RecordError(f"{key} is not an object", where=str(path), got=content[key], mend=_AGAIN)
    if content["kind"] not in KINDS:
        raise RecordError(f"kind is none of {', '.join(KINDS)}", where=str(path), got=content["kind"], mend=_AGAIN)
    if lacking := [split for split in SPLITS if not isinstance(content["metrics"].get(split), dict)]:
        raise RecordError("metrics of a split are missing", where=str(path), got=lacking, mend=_AGAIN)


def _numbers(values: dict[str, Any], where: str) -> dict[str, float]:
    """Metrics as floats; null is NaN, for JSON has no NaN."""
    for name, value in values.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise RecordError(f"{name} is not a number", where=where, got=value, mend=_AGAIN)
    return {name: math.nan if value is None else float(value) for name, value in values.items()}
