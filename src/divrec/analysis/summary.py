"""Builds the front of a sweep from what lies on disk: front.csv, .json, .png, .pdf and report.html."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.table import Table

from divrec.analysis.axes import accuracy_axis, diversity_axes, list_size
from divrec.analysis.comparison import compare, settings_of
from divrec.analysis.front_files import front_content, front_table
from divrec.analysis.group_front import GroupFront, front_of
from divrec.analysis.options import FrontOptions
from divrec.analysis.plots import draw_front
from divrec.analysis.records import read_sweep
from divrec.analysis.report import ReportSource, render_report
from divrec.analysis.report_lists import Catalogue
from divrec.analysis.resampling import Bootstrap
from divrec.analysis.tradeoff import Point, place_points
from divrec.analysis.wording import ENGLISH, number, share_text
from divrec.errors import ConfigError
from divrec.schema import TEST
from divrec.storage import replacing, write_json, write_text

CSV_FILE, JSON_FILE, PLOT_STEM, REPORT_FILE = "front.csv", "front.json", "front", "report.html"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrontSummary:
    """What the front of a sweep says, for the terminal and for trackers.

    Attributes:
        name: name of the sweep.
        folder: where the files lie.
        groups: a front a group (one, unless task losses or the like are swept); the first leads.
        missing: expected points without a record.
        broken: messages about records that could not be used.
        table: the trade-off table as in front.csv.
        content: what front.json holds.
    """

    name: str
    folder: Path
    groups: tuple[GroupFront, ...]
    missing: tuple[str, ...]
    broken: tuple[str, ...]
    table: pd.DataFrame
    content: dict[str, object]

    @property
    def headline(self) -> str:
        """What the first group's operating point gains and costs."""
        return ENGLISH.headline(self.groups[0])


def build_front(
    folder: Path,
    catalogue: Catalogue | None = None,
    options: FrontOptions | None = None,
    category_names: Sequence[str] = (),
) -> FrontSummary:
    """Read a sweep, compare its points with their controls, and write front.csv, .json, .png, .pdf and report.html.

    A sweep over task losses has a front a group: front.png shows the first, front-GROUP.png each of the others.

    Args:
        folder: the sweep's folder.
        catalogue: item id -> (text, names of its categories), for the lists shown in the report; None shows ids.
        options: measures, replicates and language; None takes the defaults.
        category_names: names of the categories in the order of their numbers; empty shows numbers.

    Raises:
        ConfigError: categories that are a string instead of a tuple of names.
        RecordError: no sweep, no readable control, or a control without the needed metrics.
    """
    options = options or FrontOptions()
    _check_categories(catalogue or {})
    sweep = read_sweep(folder)
    placement = place_points(sweep)
    groups, unreadable = _fronts(placement.points, options)
    for message in placement.left_out:
        _log.warning("left out: %s", message)
    broken = (*sweep.broken, *placement.left_out, *unreadable)
    table = front_table(groups)
    content = front_content(sweep.name, groups, sweep.missing, broken, options)
    summary = FrontSummary(sweep.name, folder, groups, sweep.missing, broken, table, content)
    write_text(folder / CSV_FILE, table.to_csv(index=False))
    write_json(folder / JSON_FILE, content)
    _draw(summary, options)
    source = ReportSource(sweep.name, groups, sweep.missing, broken, catalogue or {}, category_names, options)
    write_text(folder / REPORT_FILE, render_report(source))
    return summary


def read_fronts(folder: Path, options: FrontOptions | None = None) -> tuple[GroupFront, ...]:
    """The fronts of a sweep, one a group, from what lies on disk; nothing is written.

    Args:
        folder: the sweep's folder.
        options: measures and replicates; None takes the defaults.

    Raises:
        RecordError: as in `build_front`.
    """
    return _fronts(place_points(read_sweep(folder)).points, options or FrontOptions())[0]


def _check_categories(catalogue: Catalogue) -> None:
    """Refuse a string, whose letters would be taken for categories."""
    for item, (_, categories) in catalogue.items():
        if isinstance(categories, str):
            mend = 'Give a tuple of names, as ("coffee", "vegetables"); () for an item without any.'
            raise ConfigError("categories are no tuple", where=f"catalogue: {item}", got=categories, mend=mend)


def _draw(summary: FrontSummary, options: FrontOptions) -> None:
    for place, front in enumerate(summary.groups):
        stem = PLOT_STEM if place == 0 else f"{PLOT_STEM}-{front.name}"
        files = [summary.folder / f"{stem}.{kind}" for kind in ("png", "pdf")]
        with replacing(files[0]) as picture, replacing(files[1]) as paper:
            draw_front(front, picture, paper, title=summary.name, words=options.words)


def summary_table(summary: FrontSummary) -> Table:
    """The terminal's table: control and operating point side by side, what was gained and what it cost (test)."""
    table = Table(title=f"{summary.name}: {summary.headline}", title_justify="left", show_lines=False)
    for column in ("measure (test)", "control", "operating point", "change (95 % interval)"):
        table.add_column(column, justify="left" if column.startswith(("measure", "change")) else "right")
    for front in summary.groups:
        name = f"{front.name}: " if front.name else ""
        table.add_section()
        table.add_row(f"{name}setting", front.control.name, front.operating.name, "" if front.gained else "none better")
        for axis in (front.accuracy, *front.axes):
            kind = "cost" if axis is front.accuracy else "gain"
            digits = front.digits(axis)
            values = [number(setting.value(axis, TEST), digits) for setting in (front.control, front.operating)]
            text = ENGLISH.change(front.operating.change(axis), digits) if front.gained else ""
            table.add_row(f"{kind}: {axis.label}", *values, text)
        table.add_row(f"kept: {front.accuracy.label}", "100 %", share_text(front.share(front.operating)), "")
    for label, names in (("missing", summary.missing), ("broken", summary.broken)):
        if names:
            table.add_section()
            table.add_row(label, str(len(names)), "", "; ".join(names))
    return table


def _fronts(points: tuple[Point, ...], options: FrontOptions) -> tuple[tuple[GroupFront, ...], list[str]]:
    fronts: list[GroupFront] = []
    unreadable: list[str] = []
    for group in sorted({point.group for point in points}):
        members = [point for point in points if point.group == group]
        control = next(point.record for point in members if point.control == point.record.name)
        k = list_size(control, options.accuracy)
        accuracy, axes = accuracy_axis(k, options.accuracy), diversity_axes(control, k, options.measures)
        metrics = tuple(axis.metric for axis in (accuracy, *axes) if not axis.set_level)
        comparisons = compare(members, Bootstrap(k, options.seed, options.replicates, metrics))
        unreadable += comparisons.broken
        fronts.append(front_of(group, settings_of(members, comparisons), axes, accuracy))
    return tuple(fronts), unreadable
