"""Compare two runs metric by metric: python -m divrec.run.compare a=RUN b=RUN. Imports no torch.

Several seeds: a=[RUN,RUN] b=[RUN,RUN], in the order of the same seeds. A run is a folder with a record.json.
"""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from divrec.errors import ConfigError
from divrec.run.door import CONF, friendly


@hydra.main(version_base="1.3", config_path=CONF, config_name="compare")
@friendly
def main(config: DictConfig) -> None:
    """Print the table and write it as CSV."""
    from pathlib import Path

    from rich.console import Console

    from divrec.analysis.run_comparison import Trial, compare_runs, comparison_table
    from divrec.schema import SPLITS
    from divrec.storage import write_text

    if config.split not in SPLITS:
        raise ConfigError("no such split", where="split", got=config.split, mend=f"Use {' or '.join(SPLITS)}.")
    sides = [[Path(run) for run in ([side] if isinstance(side, str) else side)] for side in (config.a, config.b)]
    trial = Trial(config.split, tuple(config.family), config.seed, config.resamples, permutations=config.permutations)
    table = compare_runs(sides[0], sides[1], trial)
    names = ["+".join(folder.name for folder in side) for side in sides]
    target = Path(config.out or f"outputs/comparisons/{names[0]}--{names[1]}.csv")
    write_text(target, table.to_csv(index=False))
    console = Console()
    console.print(comparison_table(table, f"{names[0]} (a) against {names[1]} (b), {config.split}"))
    console.print(f"Table: {target}", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    main()
