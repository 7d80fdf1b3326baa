"""Time and memory of the data preparation at 1, 5 and 20 million events, against the same steps in pandas.

python benchmarks/data_scaling.py            measures all and writes docs/results/data.json and data.md
python benchmarks/data_scaling.py --table    rebuilds data.md from data.json
python benchmarks/data_scaling.py --millions 1 --programs divrec

Each measurement is a process of its own; its peak memory is what the operating system says (resident set, maximum).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

HERE = Path(__file__).resolve()
RESULTS = HERE.parents[1] / "docs" / "results" / "data.json"
MILLION, CHUNK = 1_000_000, 500_000
KINDS = {"view": 0.2, "cart": 0.5, "purchase": 1.0}
CORE, DAYS, MEMORY, LIMIT_MB = 5, 365, "700MB", 3072
START = 1_704_067_200  # 2024-01-01


def generate(folder: Path, events: int, seed: int = 0) -> None:
    """A log in random order: users and items by a power law, baskets of one timestamp, 1 % of rows broken."""
    generator = np.random.default_rng(seed)
    users, items = events // 15, max(2_000, int(events**0.7))
    ids = pa.array([f"item-{number:07d}" for number in range(items)])
    texts = pa.array([f"product {number} of brand {number % 97}" for number in range(items)])
    groups = pa.array([f"category {number % 211}" for number in range(items)])
    pq.write_table(pa.table({"sku": ids, "title": texts, "category": groups}), folder / "catalogue.parquet")
    names = pa.array(list(KINDS))
    with pq.ParquetWriter(folder / "events.parquet", _schema()) as writer:
        for start in range(0, events, CHUNK):
            rows = min(CHUNK, events - start)
            who = (users * generator.random(rows) ** 3).astype(np.int64)
            what = (items * generator.random(rows) ** 2.5).astype(np.int64)
            when = START + generator.integers(DAYS * 24, size=rows) * 3600 + who % 3600
            user_ids = pa.array([f"user-{number:08d}" for number in who])
            broken = pa.array(generator.random(rows) < 0.01)
            columns = [
                pa.compute.if_else(broken, None, user_ids),
                ids.take(pa.array(what)),
                pa.array(when),
                names.take(pa.array(generator.choice(3, rows, p=[0.7, 0.2, 0.1]))),
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_schema()))


def _schema() -> pa.Schema:
    return pa.schema([("user", pa.string()), ("sku", pa.string()), ("time", pa.int64()), ("kind", pa.string())])


def run_divrec(folder: Path) -> dict[str, int]:
    """The preparation as `python -m divrec.run.data` does it."""
    from divrec.data import Files, GlobalTime, Preparation, Resources, prepare

    source = Files(
        "events.parquet",
        "catalogue.parquet",
        {"user_id": "user", "item_id": "sku", "timestamp": "time", "event": "kind"},
        {"item_id": "sku", "text": "title", "categories": "category"},
        root=str(folder),
    )
    settings = Preparation(core=CORE, event_weights=KINDS, roles={"view": "input"})
    manifest = prepare(source, settings, GlobalTime(30, 30), folder / "datasets", Resources(memory=MEMORY)).manifest
    return {key: manifest[key] for key in ("users", "items", "events")}


def run_pandas(folder: Path) -> dict[str, int]:
    """The same steps with pandas: check, deduplicate, first touch, core, number, order, split, lists, write."""
    import pandas as pd

    log = pd.read_parquet(folder / "events.parquet")
    catalogue = pd.read_parquet(folder / "catalogue.parquet")
    good = log["user"].notna() & log["sku"].isin(catalogue["sku"]) & log["kind"].isin(list(KINDS))
    good &= (log["time"] > 315_532_800) & (log["time"] < time.time() + 86_400)
    log[~good].to_parquet(folder / "quarantine.parquet")
    log = log[good]
    log["kind"] = log["kind"].map({name: code for code, name in enumerate(KINDS)}).astype("int8")
    log = log.groupby(["user", "sku", "time"], as_index=False)["kind"].max()
    log = log.sort_values("time", kind="stable").drop_duplicates(["user", "sku"])
    before = -1
    while len(log) != before:
        before = len(log)
        for side in ("user", "sku"):
            log = log[log.groupby(side)[side].transform("size") >= CORE]
    users, log["user"] = log["user"].unique(), pd.factorize(log["user"])[0]
    items, log["sku"] = log["sku"].unique(), pd.factorize(log["sku"])[0]
    tie = np.random.default_rng(0).random(len(log))
    log = log.assign(tie=tie).sort_values(["user", "time", "tie"])
    end = (int(log["time"].max()) // 86_400 + 1) * 86_400
    validation, test = end - 60 * 86_400, end - 30 * 86_400
    for name, first, last in (("train", 0, validation), ("validation", validation, test), ("test", test, end)):
        history = log[log["time"] < (last if name == "train" else first)]
        rows = history.groupby("user")[["sku", "time", "kind"]].agg(list)
        if name != "train":
            window = log[(log["time"] >= first) & (log["time"] < last) & (log["kind"] > 0)]
            rows = rows.join(window.groupby("user")["sku"].agg(list).rename("targets"), how="inner")
        rows.to_parquet(folder / f"{name}.parquet")
    return {"users": len(users), "items": len(items), "events": len(log)}


def measure(program: str, folder: Path) -> dict[str, float]:
    """Run one program in a process of its own."""
    command = [sys.executable, str(HERE), "--inside", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"failed": done.returncode, "message": done.stderr.strip().splitlines()[-1:][0] if done.stderr else ""}
    return json.loads(done.stdout.strip().splitlines()[-1])


def inside(program: str, folder: Path) -> None:
    """Print counts, seconds and the peak of this process."""
    import datasets  # noqa: F401 - imports are not what is measured
    import pandas  # noqa: F401, ICN001

    if program == "divrec":
        import divrec.data  # noqa: F401
    started, before = time.perf_counter(), time.process_time()
    counts = {"divrec": run_divrec, "pandas": run_pandas}[program](folder)
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {"seconds": round(seconds, 1), "cpu_seconds": round(cpu_seconds, 1), "peak_mb": round(peak), **counts}
        )
    )


def table(results: dict[str, object]) -> str:
    """docs/results/data.md."""
    lines = [
        "# Data preparation: time and memory",
        "",
        "Generated by `python benchmarks/data_scaling.py` from data.json beside this page; do not edit.",
        f"{results['machine']}. A generated log (power laws, 1 % broken rows) from Parquet to a dataset on disk:",
        f"validation with quarantine, deduplication, first touch, {CORE}-core, numbering, split, lists. DuckDB may use",
        f"{MEMORY} (`data.memory`); peak = resident memory of the whole process, limit {LIMIT_MB / 1024:g} GB.",
        "Wall time depends on who else uses the machine, CPU time (in brackets) hardly; ratios are divrec / pandas.",
        "",
        "| events | kept | divrec s (CPU) | divrec MB | pandas s (CPU) | pandas MB | CPU ratio | memory ratio |",
        "| --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for row in results["rows"]:  # type: ignore[attr-defined]
        ours, theirs = row.get("divrec", {}), row.get("pandas", {})
        cells = [f"{row['events']:,}", f"{ours.get('events', 0):,}"]
        for each in (ours, theirs):
            cells += (
                [f"{each['seconds']:,.0f} ({each['cpu_seconds']:,.0f})", f"{each['peak_mb']:,.0f}"]
                if "seconds" in each
                else ["failed", "-"]
            )
        for key in ("cpu_seconds", "peak_mb"):
            cells.append(f"{ours[key] / theirs[key]:.2f}" if key in ours and key in theirs else "-")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, or rebuild the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 5, 20])
    parser.add_argument("--programs", nargs="+", default=["divrec", "pandas"])
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--inside", nargs=2)
    arguments = parser.parse_args()
    if arguments.inside:
        inside(arguments.inside[0], Path(arguments.inside[1]))
        return
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"rows": []}
    if not arguments.table:
        results["machine"] = f"{platform.system()}, {os.cpu_count()} cores"
        for millions in arguments.millions:
            _measure_size(results, int(millions * MILLION), arguments.programs)
    RESULTS.with_suffix(".md").write_text(table(results))
    print(table(results))


def _measure_size(results: dict[str, list[dict]], events: int, programs: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, events)
        row = next((each for each in results["rows"] if each["events"] == events), None)
        if row is None:
            row = {"events": events}
            results["rows"] = sorted([*results["rows"], row], key=lambda each: each["events"])
        for program in programs:
            row[program] = measure(program, folder)
            print(events, program, row[program], flush=True)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
