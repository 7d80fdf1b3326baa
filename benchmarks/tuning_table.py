"""What training the language model along gives: docs/results/tuning.md, from the small records beside it.

python benchmarks/tuning_table.py           rebuilds the page from docs/results/tuning/*.csv
python benchmarks/tuning_table.py collect   reads the runs TUNING-seedN under outputs/runs/tuning and the sweeps
    plm*-DATA under outputs/sweeps, replaces the rows of those that are there, rebuilds; the page says which commands
    make them. The runs that are there make a batch: of one machine, with frozen runs among them
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from accuracy_table import ALL, BOTH, collect

from divrec.analysis import FrontOptions
from divrec.analysis.comparison import Setting
from divrec.analysis.group_front import GroupFront
from divrec.analysis.records import read_record
from divrec.analysis.series_gains import contest
from divrec.analysis.statistics import Interval
from divrec.analysis.summary import read_fronts
from divrec.schema import RECORD_FILE, TEST
from divrec.storage import write_text

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
PARTS = ("accuracy", "settings", "contests")
FROZEN = "frozen"
MEASURES = ("gini", "ilmd", "coverage")
TRAINED, EQUAL_STEPS, EQUAL_MINUTES = "plm", "plm_frozen", "plm_frozen_long"
SIDES = {
    TRAINED: "trained along",
    EQUAL_STEPS: "frozen, equal steps",
    EQUAL_MINUTES: "frozen, equal minutes",
}
CONTESTS = (("gini",), ("coverage",), ("ilmd", "gini"))
ORDER = ("frozen", "top_layers_lora", "top_layers", "lora", "adapter", "prefix", "ia3", "full")
HEAD = """# The language model trained along

Built by `python benchmarks/tuning_table.py` from the CSV files in [tuning](tuning/). Test values, intervals of 95 %.
What an epoch costs: `python benchmarks/tuning_epoch.py` and the [log](../log.md).
"""
ACCURACY = """
## A budget of 15 minutes a run

{data}, items as text and ID, one thread.
Every run has up to 800 steps, stops after six validations without a better one and keeps its best weights, whose steps
are shown; all were found within 15 minutes of a core (600 steps of `full` take 12.7). Minutes are those of whole runs
by the clock, two at a time beside other work on two cores: they compare poorly. Trained = parameters of the language
model. Differences are paired over users and seeds, and their intervals hold for other users and other seeds (Student's
t){starred}. The runs of a batch were trained on one machine, and are compared with the frozen runs of that
batch: on another processor sums are rounded otherwise, and the same seeds end elsewhere.

| batch | tuning | seeds | trained | rate of the PLM | steps | minutes | NDCG@10 | to frozen | Recall@10 | to frozen |
| --: | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
"""
FRONTS = """
## Trained under L + beta R

{data}, {seeds} seeds: base, control and three betas of `gini`,
with `tuning=top_layers_lora`, beside the frozen language model with as many steps a point, and with as many minutes a
point. Intervals are over resampled users and seeds, drawn with replacement: those of three seeds are too narrow. The
gradient is the part that reaches the language model's trained weights when a point starts, of the task's
loss L and of R (before beta and its ratio): its norm, in root mean square over batches, mean over seeds.

| language model | setting | minutes | gradient of L | gradient of R | NDCG@10 | 1 − Gini | ILMD | coverage |
| --- | --- | --: | --: | --: | --: | --: | --: | --: |
"""
AGAINST = """
Hypervolume of control and betas, all measured against the control with the frozen language model and equal steps.

| measures beside NDCG@10 | trained along | rival | rival's | difference |
| --- | --: | --- | --: | --: |
"""
COMMANDS = """
## Commands

`python -m divrec.run.train +experiment=uci data.root=FOLDER tuning=TUNING optimizer.plm_learning_rate=RATE
schedule.patience=6 seed=N logger=[csv] hydra.run.dir=outputs/runs/tuning/TUNING-seedN` for the first table. For the
second, `python -m divrec.run.train -m +sweep=seeds +experiment=uci data.root=FOLDER hydra.sweeper.baselines=[]`, once
with `tuning=top_layers_lora optimizer.plm_learning_rate=5e-4 'hydra.sweeper.point={{schedule: finetune_fast}}'
hydra.sweep.dir=outputs/sweeps/plm-uci_online_retail`, once with the same point and directory plm_frozen, and once with
`'++hydra.sweeper.point={{schedule: finetune_fast, schedule.steps: {steps:.0f}}}'` and plm_frozen_long.
"""


def main() -> None:
    """Collect, if asked to, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["render", "collect"], default="render")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="folder of runs/tuning and sweeps")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of tuning.md and tuning/*.csv")
    arguments = parser.parse_args()
    folder = arguments.results / "tuning"
    if arguments.action == "collect":
        for name, rows in collected(arguments.outputs).items():
            if not rows.empty:
                write_text(folder / f"{name}.csv", _with_others(folder / f"{name}.csv", rows))
    parts = {name: pd.read_csv(folder / f"{name}.csv") for name in PARTS}
    write_text(arguments.results / "tuning.md", page(parts))
    print(f"{arguments.results / 'tuning.md'}: {', '.join(f'{len(rows)} rows of {n}' for n, rows in parts.items())}")


def _with_others(path: Path, rows: pd.DataFrame) -> str:
    """The new rows and, of runs that are no longer there, the old ones with the frozen ones that they were paired with.

    What is collected at once is a batch.
    """
    if path.stem == PARTS[0]:
        rows = rows.assign(batch=1)
        if path.exists():
            old = pd.read_csv(path)
            old = old[old["fingerprint"].isin(rows["fingerprint"])]
            others = old[~old["setting"].isin(rows["setting"])]
            paired = old[(old["setting"] == FROZEN) & old["batch"].isin(others["batch"])]
            places = {batch: place for place, batch in enumerate(sorted(others["batch"].unique()), start=1)}
            kept = pd.concat([paired, others])
            rows = pd.concat([kept.assign(batch=kept["batch"].map(places)), rows.assign(batch=len(places) + 1)])
    return str(rows.to_csv(index=False, float_format="%.5g"))


def collected(outputs: Path) -> dict[str, pd.DataFrame]:
    """Rows of every part, out of runs and sweeps."""
    runs = outputs / "runs" / "tuning"
    accuracy = pd.DataFrame()
    if any(runs.glob(f"*/{RECORD_FILE}")):
        accuracy = collect(runs, FROZEN)
        accuracy = accuracy[accuracy["group"] == ALL].drop(columns="group")
        accuracy["plm_rate"] = [_plm_rate(runs, setting) for setting in accuracy["setting"]]
    fronts = {
        path.parent.name.partition("-")[0]: read_fronts(path.parent, FrontOptions(measures=MEASURES, replicates=500))[0]
        for path in sorted((outputs / "sweeps").glob("plm*-*/front.json"))
    }
    settings = [_setting_row(front, side, setting) for side, front in fronts.items() for setting in _own(front)]
    contests = [row for side in (EQUAL_STEPS, EQUAL_MINUTES) if side in fronts for row in _contests(fronts, side)]
    return {"accuracy": accuracy, "settings": pd.DataFrame(settings), "contests": pd.DataFrame(contests)}


def _plm_rate(runs: Path, setting: str) -> float:
    rate = read_record(next(runs.glob(f"{setting}-seed*"))).config["optimizer"]["plm_learning_rate"]
    return float("nan") if rate is None else float(rate)


def _setting_row(front: GroupFront, side: str, setting: Setting) -> dict[str, object]:
    records = [point.record for point in setting.points]
    norms = [record.objective.get("plm_gradient", {}) for record in records]
    return {
        "dataset": records[0].data["name"],
        "fingerprint": records[0].data["fingerprint"],
        "seeds": len(records),
        "side": side,
        "setting": setting.name,
        "steps": records[0].cost["steps"],
        "seconds": sum(record.cost["fit_seconds"] for record in records) / len(records),
        "task_gradient": _mean(each.get("task") for each in norms),
        "gini_gradient": _mean(each.get("gini") for each in norms),
    } | {axis.key: setting.value(axis, TEST) for axis in (front.accuracy, *front.axes)}


def _mean(values: Iterable[float | None]) -> float:
    found = [value for value in values if value is not None]
    return sum(found) / len(found) if found else float("nan")


def _contests(fronts: dict[str, GroupFront], side: str) -> Iterable[dict[str, object]]:
    control = fronts[EQUAL_STEPS].control
    for names in CONTESTS:
        front = fronts[TRAINED]
        axes = (front.accuracy, *(axis for name in names for axis in front.axes if axis.name == name))
        found = contest(_own(front), _own(fronts[side]), control, axes)
        yield {"measures": " + ".join(axis.key for axis in axes[1:]), "rival": side} | {
            f"{quantity}_{end}": value
            for quantity, interval in found.items()
            for end, value in (("value", interval.estimate), ("low", interval.low), ("high", interval.high))
        }


def _own(front: GroupFront) -> Sequence[Setting]:
    """Control and betas, without base and re-ranked points."""
    return [setting for setting in front.settings if not setting.first.derived and setting.first.record.kind != "base"]


def page(parts: dict[str, pd.DataFrame]) -> str:
    """The whole page out of its rows."""
    accuracy, settings, contests = (parts[name] for name in PARTS)
    starred = "" if (accuracy["over"] == BOTH).all() else "; those with a star are over users alone"
    lines = [HEAD, ACCURACY.format(data=_data(accuracy), starred=starred), *_accuracy(accuracy)]
    lines += [FRONTS.format(data=_data(settings), seeds=settings["seeds"].iloc[0]), *_settings(settings)]
    lines += [AGAINST, *_against(contests), _verdict(contests)]
    steps = settings.loc[settings["side"] == EQUAL_MINUTES, "steps"].max()
    return "".join([*lines, COMMANDS.format(steps=steps)])


def _data(rows: pd.DataFrame) -> str:
    return f"Data `{rows['dataset'].iloc[0]}-{rows['fingerprint'].iloc[0]}`"


def _accuracy(rows: pd.DataFrame) -> Iterable[str]:
    rows = rows[rows["setting"].isin(ORDER)]
    heads = rows[rows["setting"] == FROZEN].groupby("batch")["trainable"].first()
    order = rows["setting"].map(ORDER.index)
    for (batch, _), pair in rows.groupby([rows["batch"], order]):
        first, setting = pair.iloc[0], pair["setting"].iloc[0]
        cells = []
        for metric in ("ndcg@10", "recall@10"):
            row = pair[pair["metric"] == metric].iloc[0]
            spread = "" if pd.isna(row["deviation"]) else f" ± {row['deviation']:.4f}"
            difference = _signed(Interval(row["difference"], row["low"], row["high"]))
            difference += "" if row["over"] == BOTH else "*"
            cells += [f"{row['mean']:.4f}{spread}", "–" if setting == FROZEN else difference]
        rate = "–" if pd.isna(first["plm_rate"]) else f"{first['plm_rate']:.0e}"
        yield (
            f"| {batch} | {setting} | {first['seeds']} | {first['trainable'] - heads[batch]:,} | {rate} | "
            f"{first['steps']:.0f} | {first['fit_seconds'] / 60:.1f} | {' | '.join(cells)} |\n"
        )


def _settings(rows: pd.DataFrame) -> Iterable[str]:
    for side, title in SIDES.items():
        for _, row in rows[rows["side"] == side].iterrows():
            norms = [f"{row[name]:.2g}" if pd.notna(row[name]) else "–" for name in ("task_gradient", "gini_gradient")]
            values = [f"{row[key]:.4f}" for key in ("ndcg@10", "1-gini@10", "ilmd@10", "coverage@10")]
            yield f"| {title} | {row['setting']} | {row['seconds'] / 60:.1f} | {' | '.join([*norms, *values])} |\n"


def _verdict(rows: pd.DataFrame) -> str:
    """Which side wins, in one sentence."""
    words = []
    for rival, title in ((EQUAL_STEPS, "with equal steps"), (EQUAL_MINUTES, "with equal minutes")):
        own = rows[rows["rival"] == rival]
        won, lost = int((own["difference_low"] > 0).sum()), int((own["difference_high"] < 0).sum())
        found = "no difference is off zero" if won + lost == 0 else f"{won} of {len(own)} differences are for it"
        words.append(f"{title} {found}" + (f", {lost} against it" if lost else ""))
    return f"\nThe language model trained along against the frozen one: {'; '.join(words)}.\n"


def _against(rows: pd.DataFrame) -> Iterable[str]:
    for _, row in rows.iterrows():
        difference = Interval(row["difference_value"], row["difference_low"], row["difference_high"])
        yield (
            f"| {row['measures']} | {row['ours_value']:.4f} | {SIDES[row['rival']]} | {row['theirs_value']:.4f} | "
            f"{_signed(difference)} |\n"
        )


def _signed(interval: Interval) -> str:
    return f"{interval.estimate:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


if __name__ == "__main__":
    main()
