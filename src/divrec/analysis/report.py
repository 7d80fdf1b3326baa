"""report.html: one self-contained page, offline, light and dark, printable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from divrec.analysis.chart_style import drawn_series
from divrec.analysis.group_front import GroupFront
from divrec.analysis.interactive_chart import HEIGHT, WIDTH, charts
from divrec.analysis.report_sections import (
    cost_rows,
    point_columns,
    point_rows,
    provenance_rows,
    series_tables,
    user_lists,
)
from divrec.analysis.wording import headline, interval_source


@dataclass(frozen=True)
class ReportSource:
    """What a report is made from: fronts, what is missing or broken, and item id -> (text, category)."""

    name: str
    groups: Sequence[GroupFront]
    missing: Sequence[str]
    broken: Sequence[str]
    catalogue: Mapping[str, tuple[str, str]]


def render_report(source: ReportSource) -> str:
    """The report as HTML text.

    Args:
        source: fronts and texts.

    Raises:
        RecordError: the delivered lists of the control or the operating point cannot be read.
    """
    environment = Environment(
        loader=PackageLoader("divrec.analysis", "templates"),
        autoescape=select_autoescape(["html", "j2"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    assets = {
        name: Markup(environment.loader.get_source(environment, f"report.{name}")[0])  # noqa: S704 - our own files
        for name in ("css", "js")
        if environment.loader is not None
    }
    return environment.get_template("report.html.j2").render(
        source=source,
        sections=[_section(front, source) for front in source.groups],
        width=WIDTH,
        height=HEIGHT,
        **assets,
    )


def _section(front: GroupFront, source: ReportSource) -> dict[str, object]:
    return {
        "front": front,
        "headline": headline(front),
        "intervals": interval_source(front.operating),
        "charts": charts(front),
        "looks": [(place, line) for place, line in enumerate(drawn_series(front)) if line.joined],
        "has_faint": any(not line.joined for line in drawn_series(front)),
        "columns": point_columns(front),
        "rows": point_rows(front),
        "series": series_tables(front),
        "lists": user_lists(front, source.catalogue),
        "costs": cost_rows(front),
        "provenance": provenance_rows(front),
    }
