"""What training with a regularizer does: docs/results/objective.md, from the small records beside it.

python benchmarks/objective_table.py                    rebuilds the tables from docs/results/objective/*.csv
python benchmarks/objective_table.py collect            reads sweeps under outputs/sweeps, replaces their rows, rebuilds

The sweeps are objective-DATA, joint-DATA, joint_sampled-DATA, nine-DATA, scratch-DATA, task-DATA and batch-DATA; the
page says which commands make them. Those that are not there keep the rows they have.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from objective_page import BETA, HEADS, SHARE, page

from divrec.analysis import FrontOptions
from divrec.analysis.comparison import Setting
from divrec.analysis.group_front import GroupFront
from divrec.analysis.series_gains import contest, gain_rows
from divrec.analysis.statistics import Interval, percentile_interval
from divrec.analysis.summary import read_fronts
from divrec.analysis.tradeoff import regularizer_of
from divrec.schema import TEST, TRAINED
from divrec.storage import write_text

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
PARTS = ("gains", "contests", "beta", "settings")
MEASURES = ("gini", "ilmd", "coverage", "effective_coverage", "simpson", "ilad", "alpha_ndcg")
KINDS = ("objective", "joint", "joint_sampled", "nine", "scratch", "task", "batch")
CONTESTS = (("gini",), ("coverage",), ("ilmd",), ("ilmd", "gini"), ("ilmd", "coverage"))
RERANKERS, PAIR = "re-rankers", "exposure_mmr"
GAINS = ("objective", "nine", "scratch")
QUANTITIES = ("control", "mean", "at_98", "at_95", "at_90")
POST_HOC = ("mmr", "dpp", "exposure", "exposure_mmr")


def main() -> None:
    """Collect, if asked to, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["render", "collect"], default="render")
    parser.add_argument("kinds", nargs="*", default=KINDS, help="which of them: joint takes joint_sampled along")
    parser.add_argument("--sweeps", type=Path, default=Path("outputs/sweeps"), help="folder of the sweeps")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of objective.md and objective/*.csv")
    parser.add_argument("--replicates", type=int, default=500)
    arguments = parser.parse_args()
    folder = arguments.results / "objective"
    if arguments.action == "collect":
        _store(collect(arguments.sweeps, arguments.kinds, arguments.replicates), folder)
    parts = {name: _read(folder / f"{name}.csv") for name in PARTS}
    file = arguments.results / "objective.md"
    write_text(file, page(parts))
    print(f"{file}: {', '.join(f'{len(rows)} rows of {name}' for name, rows in parts.items())}")


def collect(root: Path, kinds: Sequence[str], replicates: int) -> dict[str, pd.DataFrame]:
    """Rows of every part, out of the sweeps that are there; each with the sweep's name."""
    options = FrontOptions(measures=MEASURES, replicates=replicates)
    kinds = (*kinds, "joint_sampled") if "joint" in kinds else kinds
    names = sorted(path.parent.name for path in root.glob("*/front.json"))
    fronts = {name: read_fronts(root / name, options) for name in names if name.partition("-")[0] in kinds}
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in PARTS}
    for sweep, groups in fronts.items():
        kind, _, data = sweep.partition("-")
        for front in groups:
            if kind in GAINS:
                found["gains"].append(_shown(gain_rows(front)).assign(sweep=sweep))
            if kind == "nine":
                found["gains"].append(_share_rows(front).assign(sweep=sweep))
            found["beta"].append(_beta_rows(front).assign(sweep=sweep))
            found["settings"].append(_setting_rows(front).assign(sweep=sweep))
        if kind == "joint":
            found["contests"].append(_contest_rows(groups[0], fronts.get(f"joint_sampled-{data}")).assign(sweep=sweep))
    return {name: pd.concat(rows, ignore_index=True) for name, rows in found.items() if rows}


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """What the page shows of the gains."""
    return rows[rows["quantity"].isin(QUANTITIES) & rows["measure"].isin(("ndcg@10", *HEADS))]


def _share_rows(front: GroupFront) -> pd.DataFrame:
    """Mean gain in even exposure of points between two trainings as a share of that of all trainings, paired."""
    key = front.axes[0].key
    trained = next(series for series in front.series if series.trained)
    whole, drawn_R = trained.gains[key].band[TEST].mean, trained.gains[key].means_R
    rows = []
    for series in front.series:
        gain = series.gains[key]
        if not series.interpolated or drawn_R is None or gain.means_R is None:
            continue
        share = percentile_interval(gain.band[TEST].mean / whole, gain.means_R / drawn_R)
        facts = {"series": series.name, "kind": "interpolated", "settings": len(series.settings)}
        rows.append(facts | {"group": front.name, "measure": key, "quantity": SHARE, **_numbers(share)})
    return pd.DataFrame(rows).assign(**_data(front))


def _contest_rows(front: GroupFront, sampled: tuple[GroupFront, ...] | None) -> pd.DataFrame:
    """R in training, and with re-rankers behind it, against re-rankers alone, in two and three measures."""
    trained = [s for s in front.settings if s.first.record.kind == TRAINED]
    bare_mmr = _post_hoc(front, ("mmr",))  # beta = 0 is an end of the family: MMR alone
    rivals = {RERANKERS: _post_hoc(front, POST_HOC), PAIR: _post_hoc(front, (PAIR,))}
    if sampled is not None:
        rivals[f"{RERANKERS} on sampled negatives"] = [*_post_hoc(sampled[0], POST_HOC), sampled[0].control]
    sides: dict[str, list[Setting]] = {}
    for name in dict.fromkeys(regularizer_of(setting.first.record) for setting in trained):
        own = [setting for setting in trained if regularizer_of(setting.first.record) == name]
        sides[name] = [setting for setting in own if not setting.first.derived]
        sides[f"{name} + re-rankers"] = [*own, *bare_mmr]
    axis = {each.name: each for each in front.axes}
    rows: list[dict[str, object]] = []
    for (side, ours), (rival, theirs), names in itertools.product(sides.items(), rivals.items(), CONTESTS):
        if rival != RERANKERS and names != ("ilmd", "gini"):
            continue
        measures = tuple(axis[name] for name in names)
        found = contest(ours, theirs, front.control, (front.accuracy, *measures))
        if found["theirs"].estimate == 0:
            continue  # nothing of theirs keeps nine tenths of the accuracy: no contest
        key = {"ours": side, "theirs": rival, "measures": " + ".join(each.key for each in measures)}
        sizes = {"our_settings": len(ours), "their_settings": len(theirs)}
        rows += [key | sizes | {"quantity": quantity, **_numbers(interval)} for quantity, interval in found.items()]
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
        ratios = [next(iter(point.record.objective.get("ratio", {}).values()), math.nan) for point in setting.points]
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
        {"group": front.name, "setting": setting.name, "kind": setting.first.record.kind}
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


if __name__ == "__main__":
    main()
