"""How accurate the recommender is: docs/results/accuracy.md, from the small records beside it.

python benchmarks/accuracy_table.py                                  rebuilds the table from docs/results/accuracy.csv
python benchmarks/accuracy_table.py collect FOLDER --against NAME    reads the runs SETTING-seedN in a folder, replaces
    the rows of these settings in the CSV, and rebuilds; every setting is compared with NAME, paired over users
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
from datasets import load_from_disk

from divrec.analysis.records import read_record, read_users
from divrec.analysis.seeds_and_users import differences_over_seeds, group_differences, user_variances
from divrec.analysis.statistics import Floats, Interval, draw_weights, mean_differences
from divrec.schema import RECORD_FILE, TEST, USER_ID
from divrec.storage import write_text

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "accuracy.csv"
METRICS = ("ndcg@10", "recall@10")
FEW = 5  # events before the test window
ALL, COLD, WARM = "all users", f"at most {FEW} events", f"more than {FEW} events"
WIDER = "few less more events"  # rows that tell how much larger a difference is with few events
RESAMPLES = 2000
BOTH, USERS = "seeds and users", "users"  # what an interval is over

# On exactly this file, leave-one-out, all items ranked, seen items out; Recall@10 and NDCG@10.
PUBLISHED = {
    "amazon": [
        ("popularity (S3-Rec's table)", 0.0152, 0.0068),
        ("GRU4Rec (S3-Rec's table)", 0.0283, 0.0137),
        ("BERT4Rec (S3-Rec's table)", 0.0347, 0.0170),
        ("SASRec, BCE and one negative (S3-Rec's table)", 0.0605, 0.0318),
        ("S3-Rec", 0.0647, 0.0327),
        ("TIGER", 0.0648, 0.0384),
        ("HSTU (blondered/transformer_benchmark)", 0.0788, 0.0439),
        ("FuXi-alpha (blondered/transformer_benchmark)", 0.0809, 0.0451),
        ("SASRec, full cross-entropy, 3 seeds (a replication)", 0.0859, 0.0503),
        ("SASRec, sampled softmax, 256 negatives (blondered/transformer_benchmark)", 0.0921, 0.0531),
        ("eSASRec (blondered/transformer_benchmark)", 0.0928, 0.0523),
    ]
}
BARS = {"ndcg@10": ("NDCG@10", 0.0531), "recall@10": ("Recall@10", 0.0921)}  # SASRec, sampled softmax, 256 negatives
COMMANDS = """
## Commands

With `data.root=FOLDER seed=N` behind each, and `hydra.run.dir=outputs/runs/beauty/SETTING-seedN`, a folder for each
pair of settings, and `trainer.precision=bf16-mixed` for the gated ones; then
`python benchmarks/accuracy_table.py collect outputs/runs/beauty --against sasrec_gated`.

| setting | command |
| --- | --- |
| sasrec, text_id | `python -m divrec.run.train +experiment=beauty`, with `model=sasrec` or without |
| sasrec_wide | `python -m divrec.run.train +experiment=beauty_wide model=sasrec_wide task.chunk=2048` |
| text_id_wide | `python -m divrec.run.train +experiment=beauty_wide task.chunk=2048` |
| sasrec_gated | `python -m divrec.run.train +experiment=beauty_gated model=sasrec_wide task.chunk=2048` |
| text_id_gated | `python -m divrec.run.train +experiment=beauty_gated task.chunk=2048` |
"""
HEAD = """# Accuracy

Built by `python benchmarks/accuracy_table.py` from [accuracy.csv](accuracy.csv). Test window, every item ranked for
every user, seen items out. Mean over seeds, ± their standard deviation; differences are paired over users and seeds,
with 95 % intervals that hold for other users and other seeds (Student's t); those with a star are over users alone
({resamples:,} resamples of users, mean over seeds for each). `wide` = vectors of 256; `gated` = these, behind gated
blocks that know where a window ends, every moment of a user's latest window asked about and compared with seen items
too; else 64.
"""


def collect(folder: Path, against: str) -> pd.DataFrame:
    """One row a setting, group of users and metric.

    Args:
        folder: holds runs in folders SETTING-seedN.
        against: the setting that all others are compared with.
    """
    values: dict[str, dict[int, pd.DataFrame]] = defaultdict(dict)
    facts: dict[str, list[dict[str, float]]] = defaultdict(list)
    for place in sorted(path.parent for path in folder.glob(f"*/{RECORD_FILE}")):
        setting = re.sub(r"-seed\d+$", "", place.name)
        record = read_record(place)
        values[setting][record.seed] = read_users(place, TEST).set_index(USER_ID)[list(METRICS)].sort_index()
        facts[setting].append(record.cost | {"trainable": record.model["trainable"]})
        dataset, fingerprint, root = record.data["name"], record.data["fingerprint"], record.config["paths"]["datasets"]
    if against not in values:
        raise SystemExit(f"{folder} holds no finished run {against}-seedN, with which the others are compared")
    test = load_from_disk(f"{root}/{dataset}-{fingerprint}/splits")[TEST]
    lengths = pd.Series([len(items) for items in test["items"]], index=test[USER_ID])
    rows = []
    for setting, seeds in values.items():
        for group, users in _groups(lengths).items():
            mine, theirs = (
                {seed: table.loc[users].to_numpy() for seed, table in values[name].items()}
                for name in (setting, against)
            )
            means_SM = np.array([each.mean(0) for each in mine.values()])
            if facts[against][0]["trainable"] == 0:  # nearest neighbors, say: one run stands for every seed
                theirs = dict.fromkeys(mine, theirs[min(theirs)])
            intervals, over = _differences(mine, theirs)
            for column, (metric, interval) in enumerate(zip(METRICS, intervals, strict=True)):
                rows.append(
                    {
                        "dataset": dataset,
                        "fingerprint": fingerprint,
                        "setting": setting,
                        "group": group,
                        "users": len(users),
                        "metric": metric,
                        "seeds": len(seeds),
                        "mean": means_SM[:, column].mean(),
                        "deviation": means_SM[:, column].std(ddof=1) if len(seeds) > 1 else np.nan,
                        "against": against,
                        "difference": interval.estimate,
                        "low": interval.low,
                        "high": interval.high,
                        "over": over,
                        "fit_seconds": np.mean([each["fit_seconds"] for each in facts[setting]]),
                        "steps": np.mean([each["steps"] for each in facts[setting]]),
                        "trainable": facts[setting][0]["trainable"],
                    }
                )
        if setting != against and len(seeds) > 1 and seeds.keys() == values[against].keys():
            wider = _wider(seeds, values[against], _groups(lengths))
            rows += [
                {
                    "dataset": dataset,
                    "fingerprint": fingerprint,
                    "setting": setting,
                    "group": WIDER,
                    "users": len(lengths),
                    "metric": metric,
                    "seeds": len(seeds),
                    "against": against,
                    "difference": each.estimate,
                    "low": each.low,
                    "high": each.high,
                    "over": BOTH,
                    "trainable": facts[setting][0]["trainable"],  # so that the column stays one of whole numbers
                }
                for metric, each in zip(METRICS, wider, strict=True)
            ]
    return pd.DataFrame(rows)


def _wider(
    mine: dict[int, pd.DataFrame], theirs: dict[int, pd.DataFrame], groups: dict[str, pd.Index]
) -> list[Interval]:
    """Of each metric, the difference for users with few events less that for the others."""
    few_SUM, more_SUM = (
        np.stack([(mine[seed].loc[groups[name]] - theirs[seed].loc[groups[name]]).to_numpy() for seed in mine])
        for name in (COLD, WARM)
    )
    return group_differences(few_SUM, more_SUM)


def _differences(mine: dict[int, Floats], theirs: dict[int, Floats]) -> tuple[list[Interval], str]:
    """Intervals of the columns, and what they are over; each side has tables of the same users by seed."""
    if len(mine) > 1 and mine.keys() == theirs.keys():
        differences_SUM = np.stack([values - theirs[seed] for seed, values in mine.items()])
        variances_M, users_M = user_variances(differences_SUM)
        return differences_over_seeds(differences_SUM.mean(1), variances_M, users_M)[0], BOTH
    averages = [sum(side.values()) / len(side) for side in (mine, theirs)]
    weights_RU = draw_weights(len(averages[0]), RESAMPLES, np.random.default_rng(0))
    return mean_differences(*averages, weights_RU), USERS


def _groups(lengths: pd.Series) -> dict[str, pd.Index]:
    return {ALL: lengths.index, COLD: lengths.index[lengths <= FEW], WARM: lengths.index[lengths > FEW]}


def markdown(results: pd.DataFrame) -> str:
    """The tables, one a data set and group."""
    parts = [HEAD.format(resamples=RESAMPLES)]
    for (dataset, fingerprint), table in results.groupby(["dataset", "fingerprint"], sort=False):
        parts.append(f"\n## {dataset}\n\nData `{dataset}-{fingerprint}`.\n")
        for group, rows in table[table["group"] != WIDER].groupby("group", sort=False):
            parts.append(f"\n### {group} ({rows['users'].iloc[0]:,})\n\n{_table(rows)}")
        if (table["group"] == WIDER).any():
            parts.append(_wider_margins(table[table["group"] == WIDER]))
        if dataset in PUBLISHED:
            parts.append(_beside_the_bars(table[table["group"] == ALL]))
            lines = [f"| {name} | {ndcg:.4f} | {recall:.4f} |" for name, recall, ndcg in PUBLISHED[str(dataset)]]
            parts.append("\n### Published on the same file\n\n| model | NDCG@10 | Recall@10 |\n| --- | --: | --: |\n")
            parts.append("\n".join(lines) + "\n")
    return "".join([*parts, COMMANDS])


def _beside_the_bars(rows: pd.DataFrame) -> str:
    """Whether each setting reaches the strongest published SASRec, within one standard deviation over seeds."""
    lines = []
    for setting, pair in rows.groupby("setting", sort=False):
        values = pair.set_index("metric")
        found = []
        for metric, (name, bar) in BARS.items():
            mean, deviation = values.loc[metric, "mean"], np.nan_to_num(values.loc[metric, "deviation"])
            word = "above" if mean >= bar else "within one deviation of" if mean + deviation >= bar else "below"
            found.append(f"{name} {word} {bar:.4f} ({(mean - bar) / bar:+.1%})")
        lines.append(f"- {setting}: {'; '.join(found)}.")
    return "\n### Beside the strongest published SASRec\n\n" + "\n".join(lines) + "\n"


def _wider_margins(rows: pd.DataFrame) -> str:
    lines = [f"| setting | to | {' | '.join(name for name, _ in BARS.values())} |", "| --- | --- | --: | --: |"]
    for setting, pair in rows.groupby("setting", sort=False):
        values = pair.set_index("metric").loc[list(METRICS)]
        cells = [f"{row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})" for _, row in values.iterrows()]
        lines.append(f"| {setting} | {pair['against'].iloc[0]} | {' | '.join(cells)} |")
    told = f"The difference for users with {COLD}, less that for the others; above 0 = the setting gains more with few."
    return f"\n### Is the margin wider with few events?\n\n{told}\n\n" + "\n".join(lines) + "\n"


def _table(rows: pd.DataFrame) -> str:
    lines = [
        "| setting | seeds | trained weights | steps | minutes | NDCG@10 | difference | Recall@10 | difference | to |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --- |",
    ]
    for setting, pair in rows.groupby("setting", sort=False):
        cells = []
        for metric in METRICS:
            row = pair[pair["metric"] == metric].iloc[0]
            spread = "" if np.isnan(row["deviation"]) else f" ± {row['deviation']:.4f}"
            star = "" if row["over"] == BOTH else "*"
            difference = f"{row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f}){star}"
            cells += [f"{row['mean']:.4f}{spread}", "–" if setting == row["against"] else difference]
        first = pair.iloc[0]
        cells.append("–" if setting == first["against"] else first["against"])
        lines.append(
            f"| {setting} | {first['seeds']} | {first['trainable']:,} | {first['steps']:.0f} | "
            f"{first['fit_seconds'] / 60:.0f} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Collect, if asked to, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["render", "collect"], default="render")
    parser.add_argument("folder", nargs="?", type=Path, help="of the runs")
    parser.add_argument("--against", default="sasrec")
    arguments = parser.parse_args()
    if arguments.action == "collect":
        found = collect(arguments.folder, arguments.against)
        if RESULTS.exists():
            kept = pd.read_csv(RESULTS)
            again = kept["dataset"].isin(found["dataset"]) & kept["setting"].isin(found["setting"])
            found = pd.concat([kept[~again], found], ignore_index=True)
        write_text(RESULTS, found.to_csv(index=False, float_format="%.6g"))
    write_text(RESULTS.with_suffix(".md"), markdown(pd.read_csv(RESULTS)))
    print(RESULTS.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
