"""The report's tables of points: all of them, what each knob did, cost, provenance."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from divrec.analysis.axes import Axis
from divrec.analysis.comparison import Setting, moves_nothing
from divrec.analysis.front import MATCHED_SHARES
from divrec.analysis.group_front import GroupFront, Series
from divrec.analysis.options import FrontOptions
from divrec.analysis.report_cells import Cell, interval_cell, sortable
from divrec.analysis.statistics import Interval
from divrec.analysis.varied import short_key, varied_values
from divrec.analysis.wording import DASH, Words, change, config_text, number, share_text
from divrec.schema import TEST, RunRecord


@dataclass(frozen=True)
class SeriesTable:
    """What one series did as its strength grew: a row a setting, a column an axis, and the gains below."""

    name: str
    knob: str
    no_effect: bool
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    gains: tuple[tuple[Cell, ...], ...]


def point_columns(front: GroupFront, words: Words) -> tuple[str, ...]:
    """Header of the table of all points."""
    k = front.accuracy.metric.split("@")[1]
    heads = [words[f"points.{name}"] for name in ("point", "kind", "series", "strength")]
    measures = [words.label(front.accuracy), words["points.share"], f"{words['points.recall']}@{k}"]
    keys = [short_key(key) for key in front.varied]
    return (*heads, *keys, *measures, *(words.short(axis) for axis in front.axes))


def point_rows(front: GroupFront, words: Words) -> list[tuple[Cell, ...]]:
    """Rows of the table of all points (test); the first cell says what the point is known for."""
    k = front.accuracy.metric.split("@")[1]
    rows = []
    for setting in front.settings:
        first = setting.first
        kind = words[f"kind.{first.record.kind}"]
        cells = [Cell(setting.name, setting.name, "; ".join(_badges(front, setting, words)))]
        cells += [Cell(kind, kind), Cell(first.series, first.series)]
        cells += [Cell(setting.strength, sortable(first.strength)), *_config_cells(first.record, front.varied)]
        cells.append(_value_cell(setting, front.accuracy, front))
        cells.append(Cell(share_text(front.share(setting)), sortable(front.share(setting))))
        recall = setting.values.get(f"{TEST}/recall@{k}", math.nan)
        cells.append(Cell(number(recall), sortable(recall)))
        cells += [_value_cell(setting, axis, front) for axis in front.axes]
        rows.append(tuple(cells))
    return rows


def series_tables(front: GroupFront, words: Words) -> list[SeriesTable]:
    """One table a series: strength -> change of each measure with its interval, then the gains over the band."""
    return [_series_table(front, series, words) for series in front.series]


def cost_rows(front: GroupFront) -> list[tuple[str, ...]]:
    """Cost of each point: seconds of fit and evaluation, steps, peak memory."""
    rows = []
    for setting in front.settings:
        for point in setting.points:
            cost = point.record.cost
            values = [cost.get(key, math.nan) for key in ("fit_seconds", "evaluate_seconds", "steps", "peak_memory_mb")]
            shown = (DASH if value is None or math.isnan(value) else f"{value:,.1f}" for value in values)
            rows.append((point.record.name, *(text.removesuffix(".0") for text in shown)))
    return rows


def provenance_rows(front: GroupFront, options: FrontOptions) -> list[tuple[str, str]]:
    """Where the numbers come from: data, model, seeds, code, intervals, and digests of the two configs that matter."""
    words, records = options.words, front.records
    control = front.control.first.record
    rows = [
        (words[f"provenance.{part}"].format(key=key), f"{value:,}" if isinstance(value, int) else str(value))
        for part, content in (("data", control.data), ("model", control.model))
        for key, value in content.items()
    ]
    bootstrap = words["provenance.bootstrap_text"].format(replicates=options.replicates, seed=options.seed)
    rows += [
        (words["provenance.seeds"], ", ".join(map(str, sorted({record.seed for record in records})))),
        (words["provenance.exclude_seen"], str(control.exclude_seen)),
        (words["provenance.code"], "; ".join(sorted({_code(record) for record in records}))),
        (words["provenance.bootstrap"], bootstrap),
        (words["kind.control"], _record_text(control, words)),
    ]
    if front.gained:
        rows.append((words["badge.operating"], _record_text(front.operating.first.record, words)))
    return rows


def config_digest(record: RunRecord) -> str:
    """SHA-256 of the resolved config in canonical JSON, its first 16 digits."""
    text = json.dumps(record.config, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _series_table(front: GroupFront, series: Series, words: Words) -> SeriesTable:
    axes = (front.accuracy, *front.axes)
    rows = []
    for setting in series.settings:
        flat = moves_nothing(setting, axes)
        cells = [Cell(setting.strength or setting.name, detail=words["badge.no_effect"] if flat else "")]
        rows.append((*cells, *(interval_cell(setting.change(axis), words, front.digits(axis)) for axis in axes)))
    names = {words["matched.mean"]: "mean"}
    percents = [f"{100 * share:.0f}" for share in MATCHED_SHARES]
    names |= {words["knobs.gain"].format(share=percent): f"at_{percent}" for percent in percents}
    gains = [(Cell(label), Cell(""), *_gain_cells(front, series, name, words)) for label, name in names.items()]
    volumes = [series.gains[axis.key].intervals["hypervolume"] for axis in front.axes]
    gains.append((Cell(words["matched.hypervolume"]), Cell(""), *(_volume_cell(volume, words) for volume in volumes)))
    knob = "beta" if series.trained else "weight" if series.interpolated else "diversity"
    columns = tuple(words.short(axis) for axis in axes)
    return SeriesTable(series.name, words[f"knobs.{knob}"], series.no_effect, columns, tuple(rows), tuple(gains))


def _gain_cells(front: GroupFront, series: Series, name: str, words: Words) -> list[Cell]:
    found = [(axis, series.gains[axis.key].intervals[name]) for axis in front.axes]
    return [interval_cell(interval, words, front.digits(axis)) for axis, interval in found]


def _volume_cell(volume: Interval, words: Words) -> Cell:
    scaled = Interval(1000 * volume.estimate, 1000 * volume.low, 1000 * volume.high)
    return Cell(number(scaled.estimate, 2), detail=words.interval(scaled, 2).replace("+", ""))


def _value_cell(setting: Setting, axis: Axis, front: GroupFront) -> Cell:
    value, digits = setting.value(axis, TEST), front.digits(axis)
    detail = "" if setting is front.control else change(setting.change(axis), digits)
    return Cell(number(value, digits), sortable(value), detail)


def _config_cells(record: RunRecord, keys: Sequence[str]) -> list[Cell]:
    found = varied_values(record, keys)
    values = [found.get(short_key(key), "") for key in keys]
    return [Cell(config_text(each), each if isinstance(each, int | float) else str(each)) for each in values]


def _badges(front: GroupFront, setting: Setting, words: Words) -> list[str]:
    first = front.axes[0].key
    badges = [words["badge.operating"]] if front.gained and setting is front.operating else []
    badges += [words["badge.front"]] if setting.name in front.on_front[first] else []
    badges += [words["badge.knee"]] if setting is front.findings[first].knee else []
    badges += [words["badge.no_effect"]] if setting.first.series in front.no_effect else []
    return badges + ([words["badge.seeds"].format(seeds=len(setting.points))] if len(setting.points) > 1 else [])


def _record_text(record: RunRecord, words: Words) -> str:
    parts = {"name": record.name, "identity": record.identity, "digest": config_digest(record)}
    return words["provenance.record"].format(**parts)


def _code(record: RunRecord) -> str:
    return " ".join(f"{key} {value}" for key, value in record.code.items() if value)
