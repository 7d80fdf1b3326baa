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

from divrec.errors import ConfigError, DivrecError
from divrec.run.door import CONF, friendly, required


@hydra.main(version_base="1.3", config_path=CONF, config_name="evaluate")
@friendly
def main(config: DictConfig) -> None:
    """Add re-ranked points to the run's folder."""
    folder = Path(required(config, "run", "Give the folder of a finished run: run=outputs/runs/NAME."))
    if not config.rerank:
        raise ConfigError(
            "no strategy is asked for", where="rerank", mend="Name one, rerank=mmr, or all of them, 'rerank=glob(*)'."
        )
    import torch

    from divrec.run.job import rerank

    torch.set_num_threads(config.threads)
    rerank(folder, config.rerank, config.keep_ranking)


def spelled_out(argument: str) -> str:
    """`rerank=glob(PATTERN)` as the list of matching files; Hydra itself would start one job a strategy.

    Raises:
        ConfigError: no file matches.
    """
    match = re.fullmatch(r"rerank=glob\((.+)\)", argument)
    if match is None:
        return argument
    names = sorted(path.stem for path in (Path(CONF) / "rerank").glob("*.yaml") if path.stem != "none")
    matching = fnmatch.filter(names, match[1])
    if not matching:
        raise ConfigError("no strategy matches", where="rerank", got=match[1], mend=f"There are {', '.join(names)}.")
    return f"rerank=[{','.join(matching)}]"


def spell_out() -> None:
    """Spell out the patterns of the command line; one that matches nothing ends the program with its message."""
    try:
        sys.argv[1:] = map(spelled_out, sys.argv[1:])
    except DivrecError as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    spell_out()
    main()
