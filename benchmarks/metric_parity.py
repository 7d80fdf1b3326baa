"""divrec's metrics against those of LensKit and RecTools: equal to 1e-6, or else in which way they differ.

Both pin old packages, so they want an environment of their own (Python 3.11):

    python -m venv ENV
    ENV/bin/pip install rectools==0.19.0 lenskit==2025.8.1 "pyarrow<21" torch==2.13.0 torchmetrics==1.9.0 safetensors
    PYTHONPATH=src ENV/bin/python benchmarks/metric_parity.py

Prints a table and writes docs/results/metric_parity.md and .csv, and tests/metrics/library_values.json: the small cases
and the libraries' own values of them, from which the tests prove the same without the libraries.
"""

from __future__ import annotations

import csv
import io
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from parity.cases import Case, cases
from parity.libraries import Delivered, Library, Shop, lenskit_metrics, rectools_metrics
from parity.relations import RELATIONS, Own, Relation
from torch.nn.functional import one_hot

from divrec.storage import write_text

Values = NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[1]
PAGE, GOLDEN = ROOT / "docs" / "results" / "metric_parity.md", ROOT / "tests" / "metrics" / "library_values.json"
TOLERANCE = 1e-6


def their_values(case: Case, library: Library, accuracy: bool) -> Values:
    """A library's values; of accuracy, the mean over the orders in which ties can be broken."""
    shop = Shop(case.vectors_ND.numpy(), one_hot(case.categories_N).double().numpy(), case.counts_N.numpy())
    orders = case.orders() if accuracy else [None]
    found = [library(Delivered(case.lists(order), case.targets(), case.k, shop)) for order in orders]
    return np.mean(found, axis=0)


def difference(theirs: Values, ours: Values) -> tuple[float, int]:
    """Greatest difference of values that both have, and how many only one of them has."""
    both = ~np.isnan(theirs) & ~np.isnan(ours)
    apart = float(np.abs(theirs - ours)[both].max(initial=0))
    return apart, int((np.isnan(theirs) != np.isnan(ours)).sum())


def compared(found: dict[tuple[str, str, str], Values]) -> list[dict[str, Any]]:
    """One row for each metric and case."""
    rows = []
    for name, case in cases().items():
        own = Own.of(case)
        for relation in RELATIONS:
            theirs = found[name, relation.library, relation.call]
            ours = own.values[relation.ours] if relation.value is None else relation.value(own)
            apart, one_sided = difference(theirs, ours)
            rows.append(
                {
                    "library": relation.library,
                    "version": version(relation.library),
                    "metric": relation.call,
                    "divrec": relation.ours,
                    "conversion": relation.how if relation.value else "none",
                    "case": name,
                    "values": int((~np.isnan(theirs)).sum()),
                    "mean": f"{np.nanmean(theirs):.6g}",
                    "defined_in_one_only": one_sided,
                    "greatest_difference": f"{apart:.1e}",
                }
            )
    return rows


def verdict(relation: Relation, rows: list[dict[str, Any]]) -> str:
    """In a word."""
    if relation.value is None:
        return "another metric"
    equal = all(float(row["greatest_difference"]) <= TOLERANCE for row in rows)
    return ("equal when converted" if relation.how else "equal") if equal else "DIFFERS"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """A line a metric, a column a case: greatest difference over users."""
    names = list(cases())
    lines = [
        f"| library | its metric | divrec | conversion of divrec's value | verdict | {' | '.join(names)} |",
        "| --- | --- | --- | --- | --- |" + " --: |" * len(names),
    ]
    for relation in RELATIONS:
        own = [row for row in rows if (row["library"], row["metric"]) == (relation.library, relation.call)]
        apart = " | ".join(row["greatest_difference"] for row in own)
        head = f"| {relation.library} | `{relation.call}` | `{relation.ours}` | {relation.how or '–'} "
        lines.append(f"{head}| {verdict(relation, own)} | {apart} |")
    return lines


def page(rows: list[dict[str, Any]]) -> str:
    """The table with its explanation, as Markdown."""
    versions = ", ".join(f"{name} {version(name)}" for name in dict.fromkeys(each.library for each in RELATIONS))
    about = [f"- **{name}**: {case.about} ({len(case.scores_BN)} users)" for name, case in cases().items()]
    remarks = [f"- {each.library} `{each.call}`: {each.remark}." for each in RELATIONS if each.remark]
    one_sided = [
        f"- {row['library']} `{row['metric']}`, {row['case']}: {row['defined_in_one_only']}"
        for row in rows
        if row["defined_in_one_only"] and row["conversion"] != "none"
    ]
    return "\n".join(
        [
            "# Parity of metrics with LensKit and RecTools",
            "",
            f"Built by `python benchmarks/metric_parity.py` with {versions}; every value in",
            "[metric_parity.csv](metric_parity.csv). Greatest difference over users between the library's value and",
            f"divrec's, converted where the definitions differ; equal means at most {TOLERANCE:g}. The tests keep the",
            "small cases.",
            "",
            *table(rows),
            "",
            "Cases:",
            "",
            *about,
            "",
            "Where definitions differ:",
            "",
            *remarks,
            "",
            "Users for whom only one of the two has a value (no target, an empty list, a list of one item):",
            "",
            *one_sided,
            "",
            "Not compared, for divrec has no counterpart: LensKit's RBP and MeanPopRank (quantile of the popularity",
            "rank), RecTools' PAP, partial AUC, MCC, F1 and accuracy.",
            "",
        ]
    )


def in_lines(content: dict[str, Any]) -> str:
    """JSON with a line a case and a line a metric."""
    parts = []
    for key, value in content.items():
        entries = [f"{json.dumps(name)}: {json.dumps(each)}" for name, each in value.items()]
        parts.append(f"{json.dumps(key)}: {{\n" + ",\n".join(entries) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def golden(found: dict[tuple[str, str, str], Values]) -> dict[str, Any]:
    """The small cases and, by "library, metric, case", the libraries' values (null = none), for the tests."""
    versions = {name: version(name) for name in dict.fromkeys(each.library for each in RELATIONS)}
    small = {name: case for name, case in cases().items() if len(case.scores_BN) < 10}
    kept = {
        f"{library}, {call}, {case}": [None if np.isnan(value) else round(float(value), 9) for value in values]
        for (case, library, call), values in found.items()
        if case in small
    }
    return {"versions": versions, "cases": {name: case.to_dict() for name, case in small.items()}, "values": kept}


def main() -> None:
    """Compare, print and write."""
    torch.set_num_threads(1)
    calls = {"lenskit": lenskit_metrics(), "rectools": rectools_metrics()}
    found = {
        (name, each.library, each.call): their_values(case, calls[each.library][each.call], each.accuracy)
        for name, case in cases().items()
        for each in RELATIONS
    }
    rows = compared(found)
    print("\n".join(table(rows)))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(PAGE.with_suffix(".csv"), text.getvalue())
    write_text(PAGE, page(rows))
    write_text(GOLDEN, in_lines(golden(found)))


if __name__ == "__main__":
    main()
