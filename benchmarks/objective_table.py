"""What training with a regularizer does: docs/results/objective.md, from the small records beside it.

python benchmarks/objective_table.py                    rebuilds the tables from docs/results/objective/*.csv
python benchmarks/objective_table.py collect            reads sweeps under outputs/sweeps, replaces their rows, rebuilds

The sweeps are those of docs/objective.md: objective-DATA, joint-DATA, joint_sampled-DATA, nine-DATA, scratch-DATA,
warm-DATA, task-DATA and batch-DATA; those that are not there keep the rows they have.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from divrec.analysis import FrontOptions
from divrec.analysis.comparison import Setting
from divrec.analysis.group_front import GroupFront
from divrec.analysis.series_gains import contest, gain_rows
from divrec.analysis.statistics import Interval
from divrec.analysis.summary import read_fronts
from divrec.schema import TEST, TRAINED
from divrec.storage import write_text

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
PARTS = ("gains", "contests", "beta", "settings")
MEASURES = ("gini", "ilmd", "coverage", "effective_coverage", "simpson", "ilad", "alpha_ndcg")
SINGLE = ("1-gini@10", "coverage@10", "effective_coverage@10", "simpson@10", "ilad@10", "ilmd@10", "alpha_ndcg@10")
HEADS = ("1 − Gini", "coverage", "eff. coverage", "Simpson", "ILAD", "ILMD", "alpha-nDCG")
BETA = 0.3
KINDS = ("objective", "joint", "joint_sampled", "nine", "scratch", "warm", "task", "batch")
POST_HOC = ("mmr", "exposure", "exposure_mmr")
HEAD = """# What training with a regularizer does

Built by `python benchmarks/objective_table.py` from the CSV files in [objective](objective/). Test values; every
point, strength and front is chosen on validation. Intervals (95 %) are over resampled users, and seeds where there are
several, the same for both sides of a comparison. A mean gain is over the band of 90 to 100 % of the control's NDCG@10;
the control has had the same steps as the points. Readings: [objective](../objective.md), [log](../log.md).
"""


def main() -> None:
    """Collect, if asked to, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["render", "collect"], default="render")
    parser.add_argument("--sweeps", type=Path, default=Path("outputs/sweeps"), help="folder of the sweeps")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of objective.md and objective/*.csv")
    parser.add_argument("--replicates", type=int, default=500)
    arguments = parser.parse_args()
    folder = arguments.results / "objective"
    if arguments.action == "collect":
        _store(collect(arguments.sweeps, arguments.replicates), folder)
    parts = {name: _read(folder / f"{name}.csv") for name in PARTS}
    page = arguments.results / "objective.md"
    write_text(page, "\n".join([HEAD, *_sections(parts)]))
    print(f"{page}: {', '.join(f'{len(rows)} rows of {name}' for name, rows in parts.items())}")


def collect(root: Path, replicates: int) -> dict[str, pd.DataFrame]:
    """Rows of every part, out of the sweeps that are there; each with the sweep's name."""
    options = FrontOptions(measures=MEASURES, replicates=replicates)
    names = sorted(path.parent.name for path in root.glob("*/front.json"))
    fronts = {name: read_fronts(root / name, options) for name in names if name.partition("-")[0] in KINDS}
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in PARTS}
    for sweep, groups in fronts.items():
        kind, _, data = sweep.partition("-")
        for front in groups:
            found["gains"].append(gain_rows(front).assign(sweep=sweep))
            found["beta"].append(_beta_rows(front).assign(sweep=sweep))
            found["settings"].append(_setting_rows(front).assign(sweep=sweep))
        if kind == "joint":
            found["contests"].append(_contest_rows(groups[0], fronts.get(f"joint_sampled-{data}")).assign(sweep=sweep))
    return {name: pd.concat(rows, ignore_index=True) for name, rows in found.items() if rows}


def _contest_rows(front: GroupFront, sampled: tuple[GroupFront, ...] | None) -> pd.DataFrame:
    """R in training with a re-ranker behind it against re-rankers alone, in one, two and three measures."""
    trained = [s for s in front.settings if s.first.record.kind == TRAINED]
    bare_mmr = _post_hoc(front, ("mmr",))  # beta = 0 is an end of the family: MMR alone
    rivals = {"re-rankers": _post_hoc(front, POST_HOC)}
    if sampled is not None:
        rivals["re-rankers on sampled negatives"] = [*_post_hoc(sampled[0], POST_HOC), sampled[0].control]
    sides = {
        "R": [s for s in trained if not s.first.derived],
        "R + MMR": [s for s in trained if not s.first.record.rerank or s.first.record.rerank["name"] == "mmr"],
        "R + re-rankers": trained,
    }
    gini, ilmd = front.axes[:2]
    rows: list[dict[str, object]] = []
    for rival, theirs in rivals.items():
        for side, ours in sides.items():
            for axes in ((gini,), (ilmd,), (ilmd, gini)):
                mine = ours if side == "R" else [*ours, *bare_mmr]
                found = contest(mine, theirs, front.control, (front.accuracy, *axes))
                names = " + ".join(axis.key for axis in axes)
                rows += [
                    {"ours": side, "theirs": rival, "measures": names, "quantity": name, **_numbers(interval)}
                    for name, interval in found.items()
                ]
    return pd.DataFrame(rows).assign(**_data(front))


def _post_hoc(front: GroupFront, names: Sequence[str]) -> list[Setting]:
    """What re-rankers make of the control; a re-ranker's name may carry its price."""
    made = [
        s for s in front.settings if s.first.derived and s.first.record.name.startswith(front.control.first.control)
    ]
    return [s for s in made if any(_is(s.first.record.rerank.get("name", ""), name) for name in names)]


def _is(name: str, wanted: str) -> bool:
    return name == wanted or (wanted == "exposure_mmr" and name.startswith("exposure_mmr"))


def _beta_rows(front: GroupFront) -> pd.DataFrame:
    """What beta = .3 costs and moves."""
    gini = front.axes[0]
    rows = []
    for setting in front.settings:
        objective = setting.first.record.objective
        if setting.first.record.kind != TRAINED or setting.first.derived or objective.get("beta") != BETA:
            continue
        ratios = [next(iter(point.record.objective["ratio"].values())) for point in setting.points]
        lost, own = setting.change(front.accuracy), front.control.value(front.accuracy, TEST)
        rows.append(
            {
                "group": front.name,
                "series": setting.first.series,
                "ratio": sum(ratios) / len(ratios),
                "control": own,
                **_numbers(Interval(*(part / own for part in (lost.estimate, lost.low, lost.high)))),
                "gain": setting.change(gini).estimate,
            }
        )
    return pd.DataFrame(rows).assign(**_data(front))


def _setting_rows(front: GroupFront) -> pd.DataFrame:
    """Values on test of every setting."""
    rows = [
        {"group": front.name, "setting": setting.name}
        | {axis.key: setting.value(axis, TEST) for axis in (front.accuracy, *front.axes)}
        for setting in front.settings
    ]
    return pd.DataFrame(rows).assign(**_data(front))


def _data(front: GroupFront) -> dict[str, object]:
    data = front.control.first.record.data
    return {"dataset": data["name"], "fingerprint": data["fingerprint"], "seeds": len(front.control.points)}


def _numbers(interval: Interval) -> dict[str, object]:
    return {"value": interval.estimate, "low": interval.low, "high": interval.high}


def _store(parts: dict[str, pd.DataFrame], folder: Path) -> None:
    for name, rows in parts.items():
        kept = _read(folder / f"{name}.csv")
        if len(kept):
            rows = pd.concat([kept[~kept["sweep"].isin(rows["sweep"])], rows], ignore_index=True)
        rows = rows.sort_values("sweep", kind="stable")
        write_text(folder / f"{name}.csv", rows.to_csv(index=False, float_format="%.5g"))


def _read(path: Path) -> pd.DataFrame:
    if not path.exists():
        return pd.DataFrame()
    rows = pd.read_csv(path, dtype={"group": str, "series": str})
    texts = [name for name in ("group", "series", "kind") if name in rows]
    return rows.fillna(dict.fromkeys(texts, ""))


def _sections(parts: dict[str, pd.DataFrame]) -> Iterable[str]:
    gains, contests, beta, settings = (parts[name] for name in PARTS)
    for sweep in _named(gains, "objective"):
        yield from _every(gains[gains["sweep"] == sweep], sweep)
    if len(contests):
        yield from _contests(contests)
    for sweep in _named(settings, "joint_sampled"):
        yield from _negatives(settings, sweep)
    if _named(gains, "nine"):
        yield from _interpolation(gains)
    if _named(gains, "scratch"):
        yield from _scratch(gains)
    if len(beta):
        yield from _one_meaning(beta)


def _named(rows: pd.DataFrame, kind: str) -> list[str]:
    return [] if rows.empty else [s for s in rows["sweep"].unique() if s.partition("-")[0] == kind]


def _every(rows: pd.DataFrame, sweep: str) -> Iterable[str]:
    yield f"## Every regularizer and re-ranker: {_titled(rows)}\n"
    own = rows[rows["quantity"] == "control"].set_index("measure")["value"]
    yield f"Control: NDCG@10 {own['ndcg@10']:.4f}, " + ", ".join(
        f"{head} {own[measure]:.4f}" for head, measure in zip(HEADS, SINGLE, strict=True)
    )
    yield "\nMean gain over the control, with its interval; the best of a column is bold.\n"
    yield from _gain_table(rows, _mean_cell)
    yield "\nGain at 98 / 95 / 90 % of the control's NDCG@10; where a series ends above that, its last gain.\n"
    yield from _gain_table(rows, _matched_cell)


def _gain_table(rows: pd.DataFrame, cell: object) -> Iterable[str]:
    yield f"| series | {' | '.join(HEADS)} |"
    yield f"| --- |{' ---: |' * len(HEADS)}"
    best = rows[rows["quantity"] == "mean"].groupby("measure")["value"].max()
    for kind, title in (("trained", "Trained with R"), ("re-ranked", "Re-ranked"), ("interpolated", "Interpolated")):
        own = rows[rows["kind"] == kind]
        if own.empty:
            continue
        yield f"| *{title}* |{' |' * len(HEADS)}"
        for series in own["series"].unique():
            each = own[own["series"] == series].set_index(["measure", "quantity"])
            cells = [cell(each, measure, best[measure]) for measure in SINGLE]  # type: ignore[operator]
            yield f"| {series} | {' | '.join(cells)} |"


def _mean_cell(each: pd.DataFrame, measure: str, best: float) -> str:
    row = each.loc[(measure, "mean")]
    value = f"{row['value']:+.4f}"
    value = f"**{value}**" if row["value"] == best else value
    return f"{value} ({row['low']:+.4f} to {row['high']:+.4f})"


def _matched_cell(each: pd.DataFrame, measure: str, best: float) -> str:
    return " / ".join(f"{each.loc[(measure, name), 'value']:+.3f}" for name in ("at_98", "at_95", "at_90"))


def _contests(rows: pd.DataFrame) -> Iterable[str]:
    yield "\n## R in training and a re-ranker behind it, against re-rankers alone\n"
    yield "Hypervolume beyond 90 % of the control's NDCG@10 and the control's diversity, all divided by the control's."
    yield "`R` is gini at every beta; `+ MMR` adds MMR behind it (and behind beta = 0), `+ re-rankers` the exposure"
    yield "re-ranker, too. Their side has MMR, the exposure re-ranker and both at once at three prices.\n"
    yield "| data | ours | theirs | measures | ours | theirs | difference |"
    yield "| --- | --- | --- | --- | ---: | ---: | ---: |"
    for (_, ours, theirs, measures), each in rows.groupby(["sweep", "ours", "theirs", "measures"], sort=False):
        by = each.set_index("quantity")
        difference = by.loc["difference"]
        text = f"{difference['value']:+.4f} ({difference['low']:+.4f} to {difference['high']:+.4f})"
        text = f"**{text}**" if difference["low"] > 0 or difference["high"] < 0 else text
        name = f"{each['dataset'].iloc[0]}, {each['seeds'].iloc[0]} seeds"
        mine, other = by.loc["ours", "value"], by.loc["theirs", "value"]
        yield f"| {name} | {ours} | {theirs} | {measures} | {mine:.4f} | {other:.4f} | {text} |"


def _negatives(settings: pd.DataFrame, sweep: str) -> Iterable[str]:
    data = sweep.partition("-")[2]
    yield f"\n## The control under sampled negatives: {_titled(settings[settings['sweep'] == sweep])}\n"
    yield f"| training | NDCG@10 | {' | '.join(HEADS)} |"
    yield f"| --- |{' ---: |' * (1 + len(HEADS))}"
    for name, title in ((f"joint-{data}", "all items"), (sweep, "256 sampled negatives")):
        own = settings[(settings["sweep"] == name) & settings["setting"].isin(["control", f"gini-{BETA}"])]
        for _, row in own.iterrows():
            values = " | ".join(f"{row[measure]:.4f}" for measure in ("ndcg@10", *SINGLE))
            yield f"| {title}, {row['setting']} | {values} |"


def _interpolation(gains: pd.DataFrame) -> Iterable[str]:
    yield "\n## Points between two trainings against nine trainings\n"
    yield "| data | series | settings | mean gain in 1 − Gini | share of nine trainings |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for sweep in _named(gains, "nine"):
        rows = gains[(gains["sweep"] == sweep) & (gains["measure"] == "1-gini@10") & (gains["quantity"] == "mean")]
        whole = rows.loc[rows["series"] == "gini", "value"].iloc[0]
        for _, row in rows.iterrows():
            value = f"{row['value']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})"
            yield f"| {_titled(rows)} | {row['series']} | {row['settings']} | {value} | {row['value'] / whole:.0%} |"


def _scratch(gains: pd.DataFrame) -> Iterable[str]:
    yield "\n## From scratch and from a base\n"
    yield "Mean gain over the own control, of the same steps.\n"
    yield f"| sweep | NDCG@10 of the control | series | {' | '.join(HEADS)} |"
    yield f"| --- | ---: | --- |{' ---: |' * len(HEADS)}"
    for sweep in (*_named(gains, "scratch"), *_named(gains, "warm")):
        rows = gains[gains["sweep"] == sweep]
        control = rows[(rows["measure"] == "ndcg@10") & (rows["quantity"] == "control")]["value"].iloc[0]
        means = rows[rows["quantity"] == "mean"]
        for series in means["series"].unique():
            each = means[means["series"] == series].set_index("measure")
            cells = [
                f"{each.loc[m, 'value']:+.4f} ({each.loc[m, 'low']:+.4f} to {each.loc[m, 'high']:+.4f})" for m in SINGLE
            ]
            yield f"| {sweep} | {control:.4f} | {series} | {' | '.join(cells)} |"


def _one_meaning(beta: pd.DataFrame) -> Iterable[str]:
    yield f"\n## What beta = {BETA} means\n"
    yield "`beta_scale=gradient`: ratio = |grad L| / |grad R| at the start; NDCG@10 against the control.\n"
    yield "| sweep | varied | R | ratio | NDCG@10 | 1 − Gini |"
    yield "| --- | --- | --- | ---: | ---: | ---: |"
    for _, row in beta.iterrows():
        interval = "" if pd.isna(row["low"]) else f" ({row['low']:+.1%} to {row['high']:+.1%})"
        varied = row["group"] or "R"
        yield (
            f"| {row['sweep']} | {varied} | {row['series']} | {row['ratio']:.2f} | {row['value']:+.1%}{interval} "
            f"| {row['gain']:+.4f} |"
        )


def _titled(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    seeds = "seed 0" if int(first["seeds"]) == 1 else f"{first['seeds']} seeds"
    return f"{first['dataset']} (`{first['fingerprint']}`, {seeds})"


if __name__ == "__main__":
    main()
