"""Train one run, or with -m a sweep: python -m divrec.run.train [-m +sweep=beta_x_loss] [KEY=VALUE ...]."""

from __future__ import annotations

import hydra
from omegaconf import DictConfig

from divrec.run.door import CONF, check_dials, check_tuning, friendly


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
@friendly
def main(config: DictConfig) -> None:
    """Train, evaluate and record one run."""
    check_dials(config)
    check_tuning(config)
    from divrec.run.job import train

    train(config)


if __name__ == "__main__":
    main()
