"""How well items are ranked that nobody has touched yet: docs/results/new_items.md, from the small records beside it.

python benchmarks/new_items_table.py                    rebuilds the page from docs/results/new_items.csv
python benchmarks/new_items_table.py collect FOLDER     reads the runs SETTING-seedN in a folder, replaces the rows of
    their data set, rebuilds; every setting is compared with semantic_knn, paired over users and seeds
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from accuracy_table import ALL, BOTH, METRICS, collect

from divrec.storage import write_text

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "new_items.csv"
RIVAL = "semantic_knn"
ORDER = ("random", RIVAL, "text_random_start", "text_mean", "text_untrained", "text")
TITLES = {
    "amazon": "Amazon Beauty, new items drawn by chance",
    "uci_online_retail": "UCI Online Retail, items first seen in a window of 60 days",
}
NOTES = {
    "amazon": "`item_holdout`: a fifth of the items (validation: another tenth) is in no history and no training "
    "event; users whose last item is one of them are asked for it. Validation chooses the step.",
    "uci_online_retail": "`cold_item`: targets are the new items of the window alone. Validation sees next to none of "
    "them, so the length (400 steps) is fixed; it was found on test, with the random start.",
}
HEAD = """# Items that nobody has touched

Built by `python benchmarks/new_items_table.py` from [new_items.csv](new_items.csv). Test values, all items ranked
(known and new), seen items out. Mean over seeds, ± their standard deviation; differences to `semantic_knn`, nearest
neighbors in the same frozen vectors, are paired over users and seeds, with 95 % intervals that hold for other users and
other seeds (Student's t; a star: over users alone). `text`: item vectors start as the frozen text vectors, user vectors
as their mean, in which the latest moments weigh most; `text_untrained`: the same before training; `text_mean`: all
moments alike; `text_random_start`: the layers that read text and mean start at random, 64 wide instead of 128, with a
dropout of .2 on the mean.
"""
COMMANDS = """
## Commands

With `data.root=FOLDER seed=N` behind each, and `hydra.run.dir=outputs/runs/new_items/SETTING-seedN` (another folder
for each data set); then `python benchmarks/new_items_table.py collect outputs/runs/new_items`.

| setting | command |
| --- | --- |
| text, Beauty | `python -m divrec.run.train +experiment=beauty_new_items` |
| text, UCI | `python -m divrec.run.train +experiment=new_items model=two_tower_from_text user=mean_recent` |
| text_untrained | with `schedule.steps=1 schedule.learning_rate=1e-9 schedule.warmup=1 schedule.validate_every=1` |
| text_mean | the same with `user.recency=null` |
| text_random_start | the same with `model=two_tower_text user=mean` |
| semantic_knn, random | the same with `model=semantic_knn`, `model=random` |
"""


def main() -> None:
    """Collect, if asked to, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["render", "collect"], default="render")
    parser.add_argument("folder", nargs="?", type=Path, help="of the runs")
    arguments = parser.parse_args()
    if arguments.action == "collect":
        found = collect(arguments.folder, RIVAL)
        found = found[found["group"] == ALL].drop(columns="group")
        if RESULTS.exists():
            kept = pd.read_csv(RESULTS)
            found = pd.concat([kept[~kept["dataset"].isin(found["dataset"])], found], ignore_index=True)
        write_text(RESULTS, found.to_csv(index=False, float_format="%.6g"))
    rows = pd.read_csv(RESULTS)
    write_text(RESULTS.with_suffix(".md"), "".join([HEAD, *_sections(rows), COMMANDS]))
    print(RESULTS.with_suffix(".md").read_text())


def _sections(rows: pd.DataFrame) -> Iterable[str]:
    for dataset, title in TITLES.items():
        own = rows[rows["dataset"] == dataset]
        if own.empty:
            continue
        yield f"\n## {title}\n\n{NOTES[dataset]} {own['users'].iloc[0]:,} users; data "
        yield f"`{dataset}-{own['fingerprint'].iloc[0]}`.\n\n"
        yield "| setting | seeds | steps | NDCG@10 | to semantic_knn | Recall@10 | to semantic_knn |\n"
        yield "| --- | --: | --: | --: | --: | --: | --: |\n"
        for setting in ORDER:
            if setting in set(own["setting"]):
                yield _line(own[own["setting"] == setting].set_index("metric"))


def _line(values: pd.DataFrame) -> str:
    first, cells = values.iloc[0], []
    for row in (values.loc[metric] for metric in METRICS):
        spread = "" if pd.isna(row["deviation"]) else f" ± {row['deviation']:.4f}"
        star = "" if row["over"] == BOTH else "*"
        difference = f"{row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f}){star}"
        cells += [f"{row['mean']:.4f}{spread}", "–" if first["setting"] == RIVAL else difference]
    steps = "–" if first["trainable"] == 0 else f"{first['steps']:.0f}"
    return f"| {first['setting']} | {first['seeds']} | {steps} | {' | '.join(cells)} |\n"


if __name__ == "__main__":
    main()
