"""Re-rank a finished run: python -m divrec.run.evaluate run=FOLDER rerank=mmr [rerank.mmr.diversity=[0.1,0.9]].

All strategies at once, from one ranking: rerank="glob(*)".
"""

from __future__ import annotations

import fnmatch
import re
import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from divrec.run.door import CONF, friendly, required


@hydra.main(version_base="1.3", config_path=CONF, config_name="evaluate")
@friendly
def main(config: DictConfig) -> None:
    """Add re-ranked points to the run's folder."""
    folder = Path(required(config, "run", "Give the folder of a finished run: run=outputs/runs/NAME."))
    import torch

    from divrec.run.job import rerank

    torch.set_num_threads(config.threads)
    rerank(folder, config.rerank, config.keep_ranking)


def spelled_out(argument: str) -> str:
    """`rerank=glob(PATTERN)` as the list of matching files; Hydra itself would start one job a strategy."""
    match = re.fullmatch(r"rerank=glob\((.+)\)", argument)
    if match is None:
        return argument
    names = sorted(path.stem for path in (Path(CONF) / "rerank").glob("*.yaml"))
    return f"rerank=[{','.join(name for name in fnmatch.filter(names, match[1]) if name != 'none')}]"


if __name__ == "__main__":
    sys.argv[1:] = map(spelled_out, sys.argv[1:])
    main()
