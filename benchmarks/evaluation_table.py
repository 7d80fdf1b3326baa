"""The table of all baselines and re-rankers: docs/results/evaluation.md, from the small records beside it.

python benchmarks/evaluation_table.py                      rebuilds the table from docs/results/evaluation.csv
python benchmarks/evaluation_table.py collect SWEEP ...    reads sweeps, replaces their rows in the CSV, and rebuilds
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from divrec.analysis.results_table import collect_results, results_markdown
from divrec.storage import write_text

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "evaluation.csv"
HEAD = """# Baselines and re-rankers

Built by `python benchmarks/evaluation_table.py` from [evaluation.csv]({name}). Every item is ranked for every user;
intervals come from resampled users, and seeds where a setting has several.
"""


def main() -> None:
    """Collect, if asked to, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["render", "collect"], default="render")
    parser.add_argument("sweeps", nargs="*", type=Path, help="folders of sweeps, one a data set")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the CSV; the table lies beside it")
    parser.add_argument("--k", type=int, default=10)
    arguments = parser.parse_args()
    if arguments.action == "collect":
        found = pd.concat([collect_results(folder) for folder in arguments.sweeps], ignore_index=True)
        if arguments.results.exists():
            kept = pd.read_csv(arguments.results, keep_default_na=False, na_values=[""])
            found = pd.concat([kept[~kept["dataset"].isin(found["dataset"])], found], ignore_index=True)
        write_text(arguments.results, found.to_csv(index=False, float_format="%.6g"))
    if not arguments.results.exists():
        print(f"{arguments.results} does not exist yet: collect sweeps first")
        return
    results = pd.read_csv(arguments.results).fillna({"rerank": ""})
    table = arguments.results.with_suffix(".md")
    write_text(table, HEAD.format(name=arguments.results.name) + "\n" + results_markdown(results, arguments.k))
    print(f"{table}: {results['dataset'].nunique()} data sets, {results['setting'].nunique()} settings")


if __name__ == "__main__":
    main()
