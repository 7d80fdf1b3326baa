"""A sweep of 40 runs, killed twice and resumed, against an unbroken one: python benchmarks/sweep_killed_twice.py.

First a run's process is killed, then the driver; the same command then finishes the sweep. Exits with 1 unless all
records and the front are equal to those of the unbroken sweep. Linux only: it finds the processes in /proc.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BETAS = ",".join(str(round(0.1 * number, 1)) for number in range(1, 20))
GRID = (
    *("diversity=simpson,gini", f"beta={BETAS}", "hydra.sweeper.baselines=[]"),
    *("data.source.users=120", "data.source.items=60", "data.source.days=60", "data.source.categories=6"),
    *("data.preparation.core=3", "data.split.validation_days=10", "data.split.test_days=10", "data.batch_size=32"),
    "++hydra.sweeper.base={schedule.steps:40,schedule.warmup:5,schedule.validate_every:20}",
    "++hydra.sweeper.point={schedule.steps:10,schedule.warmup:2}",
)


def start(folder: Path, outputs: Path) -> subprocess.Popen[str]:
    """Start the sweep, or start it again."""
    command = [sys.executable, "-m", "divrec.run.train", "-m", "+sweep=smoke", "logger=none", *GRID]
    command += [f"paths.outputs={outputs}", f"hydra.sweep.dir={folder}", "hydra.launcher.n_jobs=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def follow(driver: subprocess.Popen[str], until: str = "") -> str:
    """Read what the driver says until a text appears, or to the end where none is given."""
    assert driver.stdout is not None
    said = ""
    for line in driver.stdout:
        said += line
        if until and until in line:
            return said
    if until:
        sys.exit(f"the sweep ended before it said {until!r}:\n{said}")
    return said


def runs_of(driver: int) -> list[int]:
    """Processes that train: the children of the server that the driver started."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    servers = [process for process, parent in parents.items() if parent == driver]
    return [process for process, parent in parents.items() if parent in servers]


def kill_a_run(driver: int) -> None:
    """Kill one of the runs under way; for a moment between two of them there may be none."""
    for _ in range(1000):
        if found := runs_of(driver):
            os.kill(found[0], signal.SIGKILL)
            return
        time.sleep(0.01)
    sys.exit("no run was found to kill")


def results(folder: Path) -> dict[str, Any]:
    """Metrics of every record, and what the front says of every point."""
    records = {
        str(path.parent.relative_to(folder)): json.loads(path.read_text())["metrics"]
        for path in folder.rglob("record.json")
    }
    front = json.loads((folder / "front.json").read_text())
    return {"records": records} | {
        key: front[key] for key in ("front", "mean_gain", "hypervolume", "points", "missing")
    }


def main() -> None:
    """Run both sweeps and compare."""
    with tempfile.TemporaryDirectory() as temporary:
        outputs = Path(temporary)
        unbroken, killed = outputs / "unbroken", outputs / "killed"
        whole = start(unbroken, outputs)
        follow(whole)
        first = start(killed, outputs)
        follow(first, "simpson-0.3 done")
        kill_a_run(first.pid)
        follow(first, "gini-0.3 done")
        first.kill()
        first.wait()
        before = len(list(killed.glob("*/record.json")))
        again = start(killed, outputs)
        said = follow(again)
        codes = whole.wait(), again.wait()
        one, other = results(unbroken), results(killed)
    print(f"{len(one['points'])} points; {before} runs were there after both kills; exit codes {codes}")
    print(f"trained again after them: {said.count(' done in ') - before}")
    equal = one == other and codes == (0, 0)
    print("equal to the unbroken sweep" if equal else "NOT equal to the unbroken sweep")
    sys.exit(0 if equal else 1)


if __name__ == "__main__":
    main()
