"""report.html: one self-contained page, offline, light and dark, printable, in English or Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from divrec.analysis.chart_style import DrawnSeries, drawn_series
from divrec.analysis.group_front import GroupFront
from divrec.analysis.interactive_chart import HEIGHT, WIDTH, charts
from divrec.analysis.options import FrontOptions
from divrec.analysis.report_axes import axis_sections, conclusion_table
from divrec.analysis.report_curves import CURVE_HEIGHT, CURVE_WIDTH, curve_charts
from divrec.analysis.report_groups import group_tables
from divrec.analysis.report_lists import Catalogue, user_lists
from divrec.analysis.report_points import cost_rows, point_columns, point_rows, provenance_rows, series_tables


@dataclass(frozen=True)
class ReportSource:
    """What a report is made from.

    Attributes:
        name: name of the sweep.
        groups: its fronts.
        missing: expected points without a record.
        broken: messages about records that could not be used.
        catalogue: item id -> (text, names of its categories); empty where the texts are gone.
        category_names: names of the categories in the order of their numbers; empty where they are gone.
        options: language, replicates, users.
    """

    name: str
    groups: Sequence[GroupFront]
    missing: Sequence[str]
    broken: Sequence[str]
    catalogue: Catalogue
    category_names: Sequence[str] = ()
    options: FrontOptions = field(default_factory=FrontOptions)


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
        w=source.options.words,
        sections=[_section(front, source) for front in source.groups],
        sizes={"width": WIDTH, "height": HEIGHT, "curve_width": CURVE_WIDTH, "curve_height": CURVE_HEIGHT},
        **assets,
    )


def _section(front: GroupFront, source: ReportSource) -> dict[str, object]:
    options, words = source.options, source.options.words
    drawn = drawn_series(front, words)
    return {
        "front": front,
        "accuracy": words.label(front.accuracy),
        "headline": words.headline(front),
        "charts": charts(front, words),
        "axes": axis_sections(front, options.replicates, words),
        "conclusions": conclusion_table(front, words),
        "looks": list(enumerate(drawn)),
        "legend": [(place, line) for place, line in enumerate(drawn) if line.joined],
        "small": _first_of_a_label([(place, line) for place, line in enumerate(drawn) if not line.joined]),
        "columns": point_columns(front, words),
        "rows": point_rows(front, words),
        "series": series_tables(front, words),
        "groups": group_tables(front, source.category_names, words) if front.gained else (),
        "curves": curve_charts(front),
        "lists": user_lists(front, source.catalogue, options),
        "costs": cost_rows(front),
        "provenance": provenance_rows(front, options),
    }


def _first_of_a_label(numbered: Sequence[tuple[int, DrawnSeries]]) -> list[tuple[int, DrawnSeries]]:
    """One entry a label: all re-rankers on trained points share one."""
    found: dict[str, tuple[int, DrawnSeries]] = {}
    for place, line in numbered:
        found.setdefault(line.look.label, (place, line))
    return list(found.values())
