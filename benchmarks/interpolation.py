"""How much of a front of separate trainings the points between two of them give.

python benchmarks/interpolation.py SWEEP RUN...     as: outputs/sweeps/NAME gini-1

SWEEP holds the control, trainings of one regularizer at several betas (RUN among them), the front (`make front`) and
the points between the control and RUN (`python -m divrec.run.interpolate base=SWEEP/control toward=SWEEP/RUN`).
Both fronts are chosen on validation and measured on test; the line has RUN itself as its end.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from divrec.analysis.front import band_gain, front_members

# column -> whether less of it is more diversity
MEASURES = {
    "gini": True,
    "coverage": False,
    "effective_coverage": False,
    "simpson": False,
    "ilad": False,
    "ilmd": False,
}


def gain(points: pd.DataFrame, control: pd.Series, accuracy: str, measure: str, less_is_more: bool) -> float:
    """Mean gain in diversity over 90 to 100 % of the control's accuracy on test, of the front chosen on validation."""

    def values(rows: pd.DataFrame, split: str) -> pd.DataFrame:
        diversity = rows[f"{split}/{measure}"]
        turned = 1 - diversity if less_is_more else diversity
        return pd.DataFrame({"accuracy": rows[f"{split}/{accuracy}"], "diversity": turned})

    reference = {
        split: tuple(values(control.to_frame().T, split).iloc[0].astype(float)) for split in ("validation", "test")
    }
    members = front_members(values(points, "validation").to_numpy(float), reference["validation"])
    return band_gain(values(points, "test").to_numpy(float), reference["test"], members).mean


def main() -> None:
    """Print a row a measure for each run at the end of a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("runs", nargs="+", help="runs that were interpolated to from the control")
    parser.add_argument("--k", type=int, default=10)
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.sweep / "front.csv", keep_default_na=False, na_values=["", "nan"])
    control = table[table["name"] == "control"].iloc[0]
    print("| run | measure | separate trainings | gain | points between | gain | share |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for run in arguments.runs:
        end = table[table["name"] == run]
        separate = table[table["series"] == end["series"].iloc[0]]
        between = table[table["series"] == f"interpolation to {run}"]
        line = pd.concat([between, end])
        for name, less_is_more in MEASURES.items():
            measure = f"{name}@{arguments.k}"
            if f"test/{measure}" not in table.columns:
                continue
            gains = [gain(points, control, f"ndcg@{arguments.k}", measure, less_is_more) for points in (separate, line)]
            share = f"{gains[1] / gains[0]:.0%}" if gains[0] > 0 else "-"
            label = f"1 - {measure}" if less_is_more else measure
            print(f"| {run} | {label} | {len(separate)} | {gains[0]:.4f} | {len(between)} | {gains[1]:.4f} | {share} |")


if __name__ == "__main__":
    main()
