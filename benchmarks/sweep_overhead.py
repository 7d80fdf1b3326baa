"""What a sweep costs over the same trainings in a loop of one process: python benchmarks/sweep_overhead.py.

Both run one training at a time: Hydra's basic launcher in its own process, and the pool of hydra/launcher=local with
one place. The pool imports torch once and forks each run; the loop imports it once and trains in that process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS, SECONDS = 20, 20.0  # what the share is stated for


def sweep(folder: Path, outputs: Path, launcher: str, points: int, steps: int) -> float:
    """Train base, control and points; returns the seconds from start to end, the front included."""
    betas = ",".join(str(0.1 * (number + 1)) for number in range(points))
    command = [
        *(sys.executable, "-m", "divrec.run.train", "-m", "+sweep=smoke", "logger=none", f"paths.outputs={outputs}"),
        *(f"hydra.sweep.dir={folder}", f"hydra/launcher={launcher}", "diversity=gini", f"beta={betas}"),
        *("hydra.sweeper.baselines=[]", f"++hydra.sweeper.point={{schedule.steps:{steps}}}"),
        f"++hydra.sweeper.base={{schedule.steps:{steps},schedule.patience:100}}",
        *(["hydra.launcher.n_jobs=1"] if launcher == "local" else []),
    ]
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return time.perf_counter() - begun


def main() -> None:
    """Print both times, their difference a run, and the share of it for runs of 20 s."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--points", type=int, default=18, help="runs beside the base and the control")
    arguments.add_argument("--steps", type=int, default=400, help="of every run")
    given = arguments.parse_args()
    runs = given.points + 2
    with tempfile.TemporaryDirectory() as temporary:
        outputs = Path(temporary)
        sweep(outputs / "warm", outputs, "basic", 1, 10)  # data and text vectors are made once and reused
        loop = sweep(outputs / "loop", outputs, "basic", given.points, given.steps)
        pool = sweep(outputs / "pool", outputs, "local", given.points, given.steps)
    extra = (pool - loop) / runs
    print(f"{runs} runs: loop {loop:.1f} s ({loop / runs:.1f} s a run), pool {pool:.1f} s, ratio {pool / loop:.3f}")
    print(f"a run costs {extra:+.2f} s more in the pool; for {RUNS} runs of {SECONDS:.0f} s: {extra / SECONDS:+.1%}")


if __name__ == "__main__":
    main()
