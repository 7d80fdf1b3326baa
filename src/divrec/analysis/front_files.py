"""What front.json and front.csv hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pandas as pd

from divrec.analysis.axes import Axis
from divrec.analysis.axis_findings import AxisFinding, Step
from divrec.analysis.comparison import Setting
from divrec.analysis.conclusions import Conclusion, conclusions
from divrec.analysis.front import LOWEST_SHARE, OPERATING_SHARE, THRESHOLDS
from divrec.analysis.group_front import AxisGain, GroupFront, Series
from divrec.analysis.options import FrontOptions
from divrec.analysis.statistics import LEVEL, Interval
from divrec.analysis.tradeoff import tradeoff_table
from divrec.analysis.varied import varied_keys
from divrec.analysis.wording import ENGLISH
from divrec.schema import SPLITS


def front_content(
    name: str, groups: Sequence[GroupFront], missing: Sequence[str], broken: Sequence[str], options: FrontOptions
) -> dict[str, object]:
    """Content of front.json.

    The first group's front lies at the top level; "groups" holds each of them by name where there are several.

    Args:
        name: name of the sweep.
        groups: its fronts.
        missing: expected points without a record.
        broken: messages about records that could not be used.
        options: how the intervals were made.
    """
    content: dict[str, object] = {"name": name, "selected_on": "validation", "reported_on": "test"}
    content["bootstrap"] = {"over": "users and seeds", "replicates": options.replicates, "seed": options.seed}
    content |= _group_content(groups[0])
    if len(groups) > 1:
        content["groups"] = {front.name: _group_content(front) for front in groups}
    return content | {"missing": list(missing), "broken": list(broken)}


def front_table(groups: Sequence[GroupFront]) -> pd.DataFrame:
    """Content of front.csv: the trade-off table with what the front says of each point.

    Returns:
        The columns of `tradeoff_table`, then on_front, operating_point, no_effect, share_of_control (test) and for each
        axis "change/AXIS", "change/AXIS/low" and "change/AXIS/high": of the setting, that is over seeds where several.
    """
    tables = []
    keys = varied_keys(record for front in groups for record in front.records)
    for front in groups:
        points = [point for setting in front.settings for point in setting.points]
        said = [_said(front, setting) for setting in front.settings for _ in setting.points]
        tables.append(pd.concat([tradeoff_table(points, keys), pd.DataFrame(said)], axis=1))
    return pd.concat(tables, ignore_index=True)


def _said(front: GroupFront, setting: Setting) -> dict[str, object]:
    row: dict[str, object] = {
        "on_front": setting.name in front.on_front[front.axes[0].key],
        "operating_point": setting is front.operating,
        "no_effect": setting.first.series in front.no_effect,
        "share_of_control": front.share(setting),
    }
    for axis in (front.accuracy, *front.axes):
        interval = setting.change(axis)
        row |= {f"change/{axis.key}": interval.estimate}
        row |= {f"change/{axis.key}/{end}": getattr(interval, end) for end in ("low", "high")}
    return row


def _group_content(front: GroupFront) -> dict[str, object]:
    return {
        "group": front.name,
        "headline": ENGLISH.headline(front),
        "accuracy": front.accuracy.metric,
        "measures": {axis.key: {"metric": axis.metric, "label": axis.label} for axis in front.axes},
        "reference": {
            "accuracy_share": LOWEST_SHARE,
            "diversity": "the control's",
            "divided_by": "the control's",
            "band": [LOWEST_SHARE, 1.0],
            "thresholds": THRESHOLDS,
            "operating_share": OPERATING_SHARE,
            "interval_level": LEVEL,
        },
        "control": _setting_content(front, front.control),
        "operating_point": _setting_content(front, front.operating),
        "better_baselines": list(front.better_baselines),
        "front": {key: list(names) for key, names in front.on_front.items()},
        "mean_gain": {key: _by_split(gain, "mean") for key, gain in front.overall.items()},
        "hypervolume": {key: dict(gain.hypervolume) for key, gain in front.overall.items()},
        "intervals": {key: _intervals(gain) for key, gain in front.overall.items()},
        "findings": {key: _finding_content(front, finding) for key, finding in front.findings.items()},
        "conclusions": [_conclusion_content(conclusion) for conclusion in conclusions(front)],
        "series": {series.name: _series_content(series) for series in front.series},
        "no_effect": list(front.no_effect),
        "points": {setting.name: _setting_content(front, setting) for setting in front.settings},
    }


def _series_content(series: Series) -> dict[str, object]:
    return {
        "kind": "re-ranker" if series.reranked else "interpolation" if series.interpolated else "regularizer",
        "no_effect": series.no_effect,
        "points": [setting.name for setting in series.settings],
        "strengths": [setting.first.strength for setting in series.settings],
        "gains": {
            key: {
                split: dataclasses.asdict(gain.band[split]) | {"hypervolume": gain.hypervolume[split]}
                for split in SPLITS
            }
            for key, gain in series.gains.items()
        },
        "intervals": {key: _intervals(gain) for key, gain in series.gains.items()},
    }


def _finding_content(front: GroupFront, finding: AxisFinding) -> dict[str, object]:
    """Operating point, matched accuracy by interpolation and by real points, knee and prices of one axis."""
    axis, knee, gains = finding.axis, finding.knee, front.overall[finding.axis.key].intervals
    matched = {}
    for share, setting in finding.matched.items():
        point = front.control if setting is None else setting
        matched[f"{share:.2f}"] = {
            "interpolated_gain": _interval(gains[f"at_{100 * share:.0f}"]),
            "point": point.name,
            "point_gain": _interval(point.change(axis)),
            "point_share_of_control": front.share(point),
        }
    return {
        "operating_point": finding.operating.name,
        "chosen_again": finding.stability,
        "gain": _interval(finding.operating.change(axis)),
        "cost": _interval(finding.operating.change(front.accuracy)),
        "matched_accuracy": matched,
        "knee": None if knee is None else knee.name,
        "knee_at": {} if knee is None else {each.key: _interval(knee.placed(each)) for each in (front.accuracy, axis)},
        "knee_chosen_again": finding.knee_stability,
        "prices": [_step_content(step) for step in finding.steps],
    }


def _step_content(step: Step) -> dict[str, object]:
    names = {"from": step.start.name, "to": step.end.name}
    return names | {"diversity": step.gained, "accuracy_lost": step.lost, "price": _interval(step.price)}


def _conclusion_content(conclusion: Conclusion) -> dict[str, object]:
    return {
        "claim": conclusion.kind,
        "subject": conclusion.subject,
        "rival": conclusion.rival,
        "everywhere": conclusion.everywhere,
        "holds_on": list(conclusion.holds),
        "differences": {key: _interval(interval) for key, interval in conclusion.differences.items()},
    }


def _intervals(gain: AxisGain) -> dict[str, dict[str, float]]:
    return {name: _interval(interval) for name, interval in gain.intervals.items()}


def _setting_content(front: GroupFront, setting: Setting) -> dict[str, object]:
    record = setting.first.record
    return {
        "name": setting.name,
        "kind": record.kind,
        "series": setting.first.series,
        "strength": setting.first.strength,
        "beta": record.objective.get("beta"),
        "rerank": record.rerank,
        "seeds": [point.record.seed for point in setting.points],
        "records": [point.record.name for point in setting.points],
        "identities": [point.record.identity for point in setting.points],
        "share_of_control": {split: front.share(setting, split) for split in SPLITS},
        "values": {split: _values(front, setting, split) for split in SPLITS},
        "changes": {axis.key: _interval(setting.change(axis)) for axis in (front.accuracy, *front.axes)},
        "intervals": ENGLISH.interval_source(setting),
    }


def _values(front: GroupFront, setting: Setting, split: str) -> dict[str, float]:
    axes: tuple[Axis, ...] = (front.accuracy, *front.axes)
    return {axis.key: setting.value(axis, split) for axis in axes}


def _interval(interval: Interval) -> dict[str, float]:
    return dataclasses.asdict(interval)


def _by_split(gain: AxisGain, name: str) -> dict[str, float]:
    return {split: getattr(gain.band[split], name) for split in SPLITS}
