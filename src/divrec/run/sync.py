"""Send runs that were tracked offline to W&B: python -m divrec.run.sync [dir=outputs]. Needs an account there."""

from __future__ import annotations

import logging
from pathlib import Path

import hydra
from omegaconf import DictConfig

from divrec.errors import ConfigError, RecordError
from divrec.run.door import CONF, friendly

logger = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path=CONF, config_name="sync")
@friendly
def main(config: DictConfig) -> None:
    """Send what has not been sent; start it when no training is running below the folder."""
    from divrec.tracking.sync import offline_runs, send, upload
    from divrec.tracking.weights_and_biases import has_key, send_lineage

    folder = Path(config.dir)
    if not folder.is_dir():
        raise RecordError("no such folder", where="dir", got=str(folder), mend="Give the folder of your runs.")
    if not offline_runs(folder):
        logger.info("no offline runs in %s", folder)
        return
    if not has_key():
        raise ConfigError(
            "W&B knows no account to send to", where="WANDB_API_KEY", mend="Set it, or run `wandb login` once."
        )
    sent = send(folder, send_lineage, upload)
    logger.info("%d runs sent, %d were there before", len(sent.runs), sent.before)
    if sent.failed:
        names = ", ".join(path.name for path in sent.failed)
        raise RecordError(
            f"{len(sent.failed)} runs could not be sent whole", where=str(folder), got=names, mend="Try again later."
        )


if __name__ == "__main__":
    main()
