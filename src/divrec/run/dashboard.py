"""A W&B workspace for a sweep, before it starts, while it runs or after: python -m divrec.run.dashboard dir=SWEEP."""

from __future__ import annotations

import logging
from pathlib import Path

import hydra
from omegaconf import DictConfig

from divrec.errors import ConfigError, check_number
from divrec.run.door import CONF, friendly, required

logger = logging.getLogger(__name__)

SPEC_FILE = "dashboard.json"


@hydra.main(version_base="1.3", config_path=CONF, config_name="dashboard")
@friendly
def main(config: DictConfig) -> None:
    """Write the workspace's spec into the sweep's folder, and save it in W&B when online."""
    folder = Path(required(config, "dir", "Give the folder of a sweep: dir=outputs/sweeps/NAME."))
    check_number("k", config.k, least=1, whole=True)
    online = config.wandb_mode == "online"
    if online and not config.wandb_entity:
        raise ConfigError("has to be given", where="WANDB_ENTITY", mend="Set it to your W&B user or team.")
    from divrec.storage import write_json
    from divrec.tracking.workspace import save, spec_of, tradeoff_workspace

    workspace = tradeoff_workspace(folder.resolve().name, config.wandb_project, config.wandb_entity or "", config.k)
    write_json(folder / SPEC_FILE, spec_of(workspace))
    logger.info("workspace: %s", folder / SPEC_FILE)
    if not online:
        logger.info("to save it in W&B: WANDB_MODE=online WANDB_ENTITY=TEAM make dashboard, with a key")
        return
    from divrec.tracking.weights_and_biases import has_key

    if not has_key():
        raise ConfigError(
            "W&B knows no account to save to", where="WANDB_API_KEY", mend="Set it, or run `wandb login` once."
        )
    logger.info("saved: %s", save(workspace))


if __name__ == "__main__":
    main()
