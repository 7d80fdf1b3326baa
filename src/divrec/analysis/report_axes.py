"""What the report says of one measure of diversity: the setting to ship and why, equal accuracy, prices."""

from __future__ import annotations

import math
from dataclasses import dataclass

from divrec.analysis.axes import Axis, joint_key
from divrec.analysis.axis_findings import AxisFinding, Step
from divrec.analysis.conclusions import Conclusion, conclusions
from divrec.analysis.front import OPERATING_SHARE
from divrec.analysis.group_front import GroupFront
from divrec.analysis.report_cells import Cell, interval_cell
from divrec.analysis.statistics import Interval
from divrec.analysis.wording import DASH, SPACE, Words, change, number, share_text, signed
from divrec.schema import TEST, VALIDATION


@dataclass(frozen=True)
class AxisSection:
    """Texts and tables of one axis."""

    verdict: str
    why: tuple[str, ...]
    matched: tuple[tuple[Cell, ...], ...]
    totals: tuple[tuple[Cell, ...], ...]
    knee: str
    prices: tuple[tuple[Cell, ...], ...]
    price_note: str


@dataclass(frozen=True)
class ConclusionTable:
    """Claims by measure: columns of measures, a row a claim, its last cell says on how many it holds."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    joints: int


def axis_sections(front: GroupFront, replicates: int, words: Words) -> dict[str, AxisSection]:
    """One section an axis, by its key.

    Args:
        front: the analyzed group.
        replicates: number of bootstrap replicates.
        words: language.
    """
    return {finding.axis.key: _section(front, finding, replicates, words) for finding in front.findings.values()}


def conclusion_table(front: GroupFront, words: Words) -> ConclusionTable:
    """Which claims hold on which measure."""
    columns = [words.short(axis) for axis in front.axes]
    columns += [" + ".join(words.short(axis) for axis in axes) for axes in front.joints]
    keys = [*(axis.key for axis in front.axes), *(joint_key(axes) for axes in front.joints)]
    rows = tuple(_conclusion_row(conclusion, keys, words) for conclusion in conclusions(front))
    return ConclusionTable(tuple(columns), rows, len(front.joints))


def _section(front: GroupFront, finding: AxisFinding, replicates: int, words: Words) -> AxisSection:
    axis = finding.axis
    note = words["price.note"].format(accuracy=words.label(front.accuracy), measure=words.label(axis))
    return AxisSection(
        verdict=words.verdict(front, axis),
        why=tuple(_why(front, finding, replicates, words)),
        matched=tuple(_matched_row(front, finding, share, words) for share in finding.matched),
        totals=_totals(front, axis, words),
        knee=_knee(front, finding, replicates, words),
        prices=tuple(_price_row(front, axis, step, words) for step in finding.steps),
        price_note=note,
    )


def _why(front: GroupFront, finding: AxisFinding, replicates: int, words: Words) -> list[str]:
    chosen, axis = finding.operating, finding.axis
    digits = front.digits(axis)
    if chosen is front.control:
        return []
    kept = [s for s in front.settings if s.first.selectable and front.share(s, VALIDATION) >= OPERATING_SHARE]
    texts = [
        words["why.chosen"].format(
            name=chosen.name,
            count=len(kept),
            accuracy=words.label(front.accuracy),
            axis=words.label(axis),
            value=number(chosen.value(axis, VALIDATION), digits),
            own=number(front.control.value(axis, VALIDATION), digits),
            share=share_text(front.share(chosen, VALIDATION)),
        )
    ]
    rest = [setting for setting in kept if setting is not chosen]
    if rest:
        other = max(rest, key=lambda setting: setting.value(axis, VALIDATION))
        value, share = number(other.value(axis, VALIDATION), digits), share_text(front.share(other, VALIDATION))
        texts.append(words["why.next"].format(name=other.name, value=value, share=share))
    if not math.isnan(finding.stability):
        again = f"{100 * finding.stability:.0f}{SPACE}%"
        texts.append(words["why.again"].format(share=again, replicates=replicates))
    return texts


def _knee(front: GroupFront, finding: AxisFinding, replicates: int, words: Words) -> str:
    setting = finding.knee
    if setting is None:
        return words["matched.no_knee"]
    texts = [words["matched.knee"].format(name=setting.name)]
    places = {}
    for name, axis in (("diversity", finding.axis), ("value", front.accuracy)):
        digits, placed = front.digits(axis), setting.placed(axis)
        ends = words.interval(placed, digits).replace("+", "")
        places[name] = number(placed.estimate, digits) + (f" ({ends})" if ends else "")
    labels = {"axis": words.label(finding.axis), "accuracy": words.label(front.accuracy)}
    texts.append(words["matched.knee_at"].format(**places, **labels))
    if not math.isnan(finding.knee_stability):
        again = f"{100 * finding.knee_stability:.0f}{SPACE}%"
        texts.append(words["matched.knee_again"].format(share=again, replicates=replicates))
    return words["joiner"].join(texts)


def _matched_row(front: GroupFront, finding: AxisFinding, share: float, words: Words) -> tuple[Cell, ...]:
    gains = front.overall[finding.axis.key].intervals
    setting = finding.matched[share]
    digits = front.digits(finding.axis)
    cells = [Cell(f"{100 * share:.0f}{SPACE}%"), interval_cell(gains[f"at_{100 * share:.0f}"], words, digits)]
    if setting is None:
        return (*cells, Cell(words["matched.none"]), Cell(DASH), Cell(DASH))
    gain = interval_cell(setting.change(finding.axis), words, digits)
    return (*cells, Cell(setting.name), gain, Cell(share_text(front.share(setting))))


def _totals(front: GroupFront, axis: Axis, words: Words) -> tuple[tuple[Cell, ...], ...]:
    gains = front.overall[axis.key].intervals
    volume = gains["hypervolume"]
    scaled = Interval(1000 * volume.estimate, 1000 * volume.low, 1000 * volume.high)
    blank = (Cell(""), Cell(""), Cell(""))
    ends = words.interval(scaled, 2).replace("+", "")
    return (
        (Cell(words["matched.mean"]), interval_cell(gains["mean"], words, front.digits(axis)), *blank),
        (Cell(words["matched.hypervolume"]), Cell(number(scaled.estimate, 2), detail=ends), *blank),
    )


def _price_row(front: GroupFront, axis: Axis, step: Step, words: Words) -> tuple[Cell, ...]:
    own = front.control.value(front.accuracy, TEST)
    percent = f"{signed(-100 * step.lost / own, 1)}{SPACE}%" if own > 0 else ""
    lost = Cell(signed(-step.lost, front.digits(front.accuracy)), detail=percent)
    digits = 3 if abs(step.price.estimate) < 10 else 1
    price = Cell(change(step.price, digits), detail=words.interval(step.price, digits))
    return (Cell(step.start.name), Cell(step.end.name), Cell(signed(step.gained, front.digits(axis))), lost, price)


def _conclusion_row(conclusion: Conclusion, keys: list[str], words: Words) -> tuple[Cell, ...]:
    claim = words[f"claim.{conclusion.kind}"].format(subject=conclusion.subject, rival=conclusion.rival)
    known, digits = conclusion.differences, conclusion.digits
    cells = [interval_cell(known[key], words, digits[key]) if key in known else Cell("") for key in keys]
    count, total = len(conclusion.holds), len(conclusion.differences)
    if conclusion.everywhere:
        holds = Cell(words["conclusions.all"].format(count=total), style="up")
    elif count:
        holds = Cell(words["conclusions.some"].format(count=count, total=total))
    else:
        holds = Cell(words["conclusions.none"])
    return (Cell(claim), holds, *cells)
