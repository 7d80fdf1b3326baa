"""Re-rank a finished run: python -m divrec.run.evaluate run=FOLDER rerank=mmr [rerank.mmr.diversity=[0.1,0.9]]."""

from __future__ import annotations

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
    rerank(folder, config.rerank)


if __name__ == "__main__":
    main()
