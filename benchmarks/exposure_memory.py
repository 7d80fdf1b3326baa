"""How far the exposure Gini of one batch is from that of all users, and what the exposure memory sees instead.

python benchmarks/exposure_memory.py                        rebuilds the page in docs/results from the JSON beside it
python benchmarks/exposure_memory.py measure OVERRIDES ...  measures anew: data=amazon data.root=FOLDER model=item_knn
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from torch import Tensor

from divrec.batch import Catalogue, SoftSlate
from divrec.measures import gini_index
from divrec.objectives import ExposureMemory, SoftTopK
from divrec.run.assembly import open_data
from divrec.run.door import CONF, build
from divrec.storage import write_json, write_text

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results" / "exposure_memory.json"
K, BATCH, STEPS, DRAWS = 10, 256, 500, 20
SIZES = (64, 256, 1024, 4096, 16384)


def uniform_slates(users: int, items: int, generator: torch.Generator) -> SoftSlate:
    """Lists of k items drawn at random for each user."""
    items_BK = torch.stack([torch.randperm(items, generator=generator)[:K] for _ in range(users)])
    return SoftSlate(items_BK, torch.ones(items_BK.shape), torch.ones_like(items_BK, dtype=torch.bool), K)


def scored_slates(overrides: list[str]) -> tuple[SoftSlate, str, int]:
    """The soft slates that a fitted baseline gives all users of the validation window; data's name; N."""
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", overrides=overrides)
    data = open_data(config)
    model, counts_N = build(config.model), torch.as_tensor(data.catalogue["count"][:])
    size = len(counts_N)
    nothing_N1 = torch.zeros(size, 1)
    model.fit(data.train, Catalogue(nothing_N1, nothing_N1.long(), nothing_N1 + 1, 1, counts_N))
    slates = []
    for evaluation in data.val_dataloader():
        batch = evaluation.batch
        scores_BN = model(batch).scores_QN
        seen_BN = torch.zeros(len(scores_BN), size + 1, dtype=torch.bool).scatter_(1, batch.seen_QS, True)[:, :size]
        # A neighbour model leaves most items at one score: break ties at random, as delivered lists do.
        scores_BN = scores_BN + 1e-6 * torch.rand(scores_BN.shape, generator=torch.Generator().manual_seed(0))
        slates.append(SoftTopK(K)(scores_BN.masked_fill(seen_BN, -torch.inf)))
    joined = [torch.cat([getattr(slate, name) for slate in slates]) for name in ("items_BM", "weights_BM", "valid_BM")]
    kind, source = (node._target_.split(".")[-1] for node in (config.model, config.data.source))
    return SoftSlate(*joined, K), f"{kind}, data {source} {data.manifest['fingerprint']}", size


def some(slate: SoftSlate, rows_B: Tensor) -> SoftSlate:
    """These rows of a slate."""
    return SoftSlate(slate.items_BM[rows_B], slate.weights_BM[rows_B], slate.valid_BM[rows_B], K)


def gini_of(slate: SoftSlate, items: int) -> float:
    """Exposure Gini of these users alone: a memory that keeps nothing else."""
    memory = ExposureMemory(items, rate=0.0)
    memory.update(slate)
    return float(gini_index(memory.exposure()))


def measured(name: str, slate: SoftSlate, items: int, generator: torch.Generator) -> dict[str, Any]:
    """Gini by number of users, of all users, and of the memory after 500 batches."""
    users = len(slate.items_BM)
    drawn = {
        size: [gini_of(some(slate, torch.randperm(users, generator=generator)[:size]), items) for _ in range(DRAWS)]
        for size in SIZES
        if size < users
    }
    memory, seen = ExposureMemory(items), {}
    for step in range(1, STEPS + 1):
        memory.update(some(slate, torch.randint(users, (BATCH,), generator=generator)))
        if step in (1, 10, 50, 100, STEPS):
            seen[step] = float(gini_index(memory.exposure()))
    batches = {size: sum(values) / len(values) for size, values in drawn.items()}
    return {
        "lists": name,
        "items": items,
        "users": users,
        "batches": batches,
        "all": gini_of(slate, items),
        "memory": seen,
    }


def measure(overrides: list[str]) -> None:
    """Measure and write the JSON."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    slate, name, items = scored_slates(overrides)
    uniform = uniform_slates(20_000, items, generator)
    rows = [measured("uniformly random", uniform, items, generator), measured(name, slate, items, generator)]
    write_json(RESULTS, {"k": K, "batch": BATCH, "rate": 0.98, "draws": DRAWS, "rows": rows})


def page(results: dict[str, Any]) -> str:
    """The table as Markdown."""
    sizes, steps = results["rows"][0]["batches"], results["rows"][0]["memory"]
    head = [
        "lists",
        "items",
        *(f"{int(size):,} users" for size in sizes),
        "all users",
        *(f"memory, {s}" for s in steps),
    ]
    lines = [
        "# The exposure of one batch, and the exposure memory",
        "",
        "Built by `python benchmarks/exposure_memory.py` from [exposure_memory.json](exposure_memory.json).",
        f"Gini index of exposure, soft slates of k = {results['k']}: of so many users drawn at random (mean of",
        f"{results['draws']} draws), of all users, and of the memory (rate {results['rate']}) after so many batches of",
        f"{results['batch']} users.",
        "",
        "| " + " | ".join(head) + " |",
        "| --- |" + " --: |" * (len(head) - 1),
    ]
    for row in results["rows"]:
        values = [row["batches"].get(size) for size in sizes] + [row["all"]] + [row["memory"][step] for step in steps]
        shown = ["-" if value is None else f"{value:.3f}" for value in values]
        all_users = f"{row['items']:,}"
        lines.append(f"| {row['lists']} ({row['users']:,} users) | {all_users} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, if asked to, and write the page."""
    if sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2:])
    if not RESULTS.exists():
        print(f"{RESULTS} does not exist yet: measure first")
        return
    write_text(RESULTS.with_suffix(".md"), page(json.loads(RESULTS.read_text(encoding="utf-8"))))
    print(RESULTS.with_suffix(".md"))


if __name__ == "__main__":
    main()
