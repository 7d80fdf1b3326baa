"""Points between finished siblings: python -m divrec.run.interpolate base=RUN toward=[RUN,RUN] [amounts=[0.3,0.6]].

Nothing is trained: theta = theta_base + sum_i a_i (theta_i - theta_base).
"""

from __future__ import annotations

from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from divrec.errors import ConfigError, check_number
from divrec.run.door import CONF, friendly, required
from divrec.run.evaluate import spell_out


@hydra.main(version_base="1.3", config_path=CONF, config_name="interpolate")
@friendly
def main(config: DictConfig) -> None:
    """Add the points to the runs' folders."""
    from divrec.run.siblings import Siblings, places

    check_number("threads", config.threads, least=1, whole=True)
    base = required(config, "base", "Give the folder of the control: base=outputs/sweeps/NAME/control.")
    required(config, "toward", "Give the folder of a run, or several: toward=outputs/sweeps/NAME/gini-1.")
    toward, amounts = _listed(config, "toward"), _listed(config, "amounts")
    siblings = Siblings.read(base, [str(folder) for folder in toward])
    asked = places(amounts, len(toward))
    import torch

    from divrec.run.mixing import interpolate

    torch.set_num_threads(config.threads)
    interpolate(siblings, asked, config.rerank, None if config.dial is None else Path(config.dial))


def _listed(config: DictConfig, key: str) -> list[object]:
    value = OmegaConf.to_container(config, resolve=True)[key]  # type: ignore[index, call-overload]
    if isinstance(value, dict):
        raise ConfigError("must be a value or a list", where=key, got=value)
    return list(value) if isinstance(value, list) else [value]


if __name__ == "__main__":
    spell_out()
    main()
