"""Re-rank a finished run: python -m divrec.run.evaluate run=FOLDER rerank=mmr [rerank.mmr.diversity=[0.1,0.9]]."""

from __future__ import annotations

from pathlib import Path

import hydra
from omegaconf import DictConfig

from divrec.run.door import CONF, friendly


@hydra.main(version_base="1.3", config_path=CONF, config_name="evaluate")
@friendly
def main(config: DictConfig) -> None:
    """Add re-ranked points to the run's folder."""
    import torch

    from divrec.run.job import rerank

    torch.set_num_threads(config.threads)
    rerank(Path(config.run), config.rerank)


if __name__ == "__main__":
    main()
