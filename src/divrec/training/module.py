"""The LightningModule that drives model, objective and validation metrics; it holds no formula of its own."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer

from divrec.batch import Batch, EvaluationBatch
from divrec.metrics import SlateMetrics
from divrec.objectives import TOTAL, TradeoffObjective
from divrec.ranking import deliver, rank
from divrec.training.candidate_auc import CandidateAUC
from divrec.training.optimizer import belongs_to_plm
from divrec.training.schedule import Schedule
from divrec.training.sharding import DATA_PARALLEL, shard
from divrec.training.tables import text_tables

logger = logging.getLogger(__name__)

_WATCHED = "watched_norms"  # of a checkpoint


class RecommenderModule(pl.LightningModule):
    """Trains a recommender with loss = L + beta * R and ranks all items at validation.

    Args:
        model: Batch -> ModelOutput.
        objective: (ModelOutput, Batch) -> named terms.
        metrics: of the delivered lists.
        optimizer: model -> optimizer of its trainable weights.
        schedule: length and learning rate.
        tie_order_N: place of each item among items of equal score.
        exclude_seen: keep items that a user has touched out of the lists.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: TradeoffObjective,
        metrics: SlateMetrics,
        optimizer: Callable[[nn.Module], Optimizer],
        schedule: Schedule,
        tie_order_N: Tensor,
        exclude_seen: bool = True,
    ) -> None:
        super().__init__()
        self.model, self.objective, self.metrics = model, objective, metrics
        self.schedule, self.exclude_seen = schedule, exclude_seen
        self.tie_order_N = tie_order_N
        self.build_optimizer = optimizer
        self._goes_on = False

    def configure_model(self) -> None:
        """Where the strategy spreads weights over devices, train a copy of the model that lies in pieces.

        The model that was given stays whole; whoever started the training puts the weights back into it.
        """
        if self.device_mesh is not None:
            self.model = shard(copy.deepcopy(self.model), self.device_mesh[DATA_PARALLEL])
            for table in text_tables(self.model).values():
                table.forget()

    def on_train_start(self) -> None:
        """Measure the gradient ratios before the first step, on the first batches of the training."""
        if not self.objective.needs_calibration or self._goes_on:
            return
        loader: Iterable[Batch] = self.trainer.train_dataloader or ()
        coming = (batch.to(self.device) for batch in loader)
        first = next(coming)
        batches = [first, *islice(coming, self.objective.calibration_batches(first) - 1)]
        named = self.model.named_parameters()
        of_plm = [each for name, each in named if each.requires_grad and belongs_to_plm(name)]
        ratios = self.objective.calibrate(self.model, batches, of_plm)
        logger.info("|g_task| / |g_diversity|: %s", ", ".join(f"{name} {ratio:.3g}" for name, ratio in ratios.items()))
        for pl_logger in self.loggers:
            pl_logger.log_metrics({f"ratio/{name}": ratio for name, ratio in ratios.items()}, step=0)
            if norms := self.objective.watched_norms:
                pl_logger.log_metrics({f"gradient/plm/{name}": norm for name, norm in norms.items()}, step=0)

    def on_train_epoch_start(self) -> None:
        """Tell the tables of text vectors, some of which are computed anew at each epoch."""
        for table in text_tables(self.model).values():
            table.start_epoch()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Tell the tables which step this is, some of which are computed anew every so many."""
        for table in text_tables(self.model).values():
            table.start_step(self.trainer.global_step)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what was measured when the training began and is no weight."""
        checkpoint[_WATCHED] = self.objective.watched_norms

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the gradient ratios and norms that were measured when the training began."""
        self.objective.watched_norms = checkpoint[_WATCHED]
        self._goes_on = True

    def terms(self, batch: Batch) -> dict[str, Tensor]:
        """All terms of the loss of a batch, by name."""
        return self.objective.step(self.model, batch)

    def training_step(self, batch: Batch, step: int) -> Tensor:
        """The total loss; every term is logged under its name."""
        terms = self.terms(batch)
        size = batch.users_B.shape[0]
        values = {f"loss/{name}": term.detach() for name, term in terms.items()}
        self.log_dict(values, batch_size=size, sync_dist=self.trainer.world_size > 1)
        return terms[TOTAL]

    def on_after_backward(self) -> None:
        """Log where the regularizers' gradient went: `gradient/outside_top_k`, a share in [0, 1]."""
        share = self.objective.outside_share
        if share is not None:
            self.log("gradient/outside_top_k", share)

    def validation_step(self, batch: EvaluationBatch, step: int) -> None:
        """Rank all items for the users of the window, in full precision as a finished run is evaluated."""
        query, largest = batch.batch, max(self.metrics.sizes)
        with torch.autocast(self.device.type, enabled=False):  # half precision has too few scores for an order
            scores_BN = self.model(query).scores_QN
            seen_BS = query.seen_QS if self.exclude_seen else None
            ranking = rank(scores_BN, batch.targets_BT, seen_BS, largest, self.tie_order_N)
            self.metrics.update(ranking, deliver(ranking, largest), query.seen_QS, query.history_QS)

    def on_validation_epoch_end(self) -> None:
        """Log `validation/NAME@k`."""
        self.log_dict({f"validation/{name}": value for name, value in self.metrics.compute().items()})
        self.metrics.reset()

    def configure_callbacks(self) -> list[Callback]:
        """What the model wants to be watched with: the AUC over few candidates, for one that reads few pairs."""
        candidates = getattr(self.model, "development_candidates", None)
        return [] if candidates is None else [CandidateAUC(candidates)]

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The configured optimizer; its rates follow the schedule."""
        optimizer = self.build_optimizer(self.model)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self.schedule.factor())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
