"""How well a model tells what a development user took from random items: the AUC over N labelled candidates.

It asks only for the scores of these pairs, so a model that reads few pairs can be watched with it. It is no measure of
lists: those are always ranked against all items.

Shapes: B users, T targets a user, C candidates a user, N items.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn

from divrec.batch import Batch, EvaluationBatch, Request
from divrec.measures import auc

AUC_OF_CANDIDATES = "validation/auc_of_candidates"


class CandidateAUC(Callback):
    """Logs, at each validation, the mean over users of the AUC of targets against random items.

    A user's items are the same at each validation. Those that are targets or seen are left out, and so are seen
    targets.

    Args:
        candidates: random items a user; more = a steadier value.
        seed: of the items.
    """

    def __init__(self, candidates: int, seed: int = 0) -> None:
        self.candidates, self.seed = candidates, seed
        self._values: list[Tensor] = []

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,  # noqa: ANN401 - Lightning's
        batch: EvaluationBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Score the labelled pairs of a batch."""
        model, order_N = pl_module.model, pl_module.tie_order_N
        assert isinstance(model, nn.Module)
        assert isinstance(order_N, Tensor)
        labelled = self._labelled(batch.batch, len(order_N))
        self._values.append(candidate_auc(model, labelled, batch.targets_BT, len(order_N)))

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the mean; users without a target or without a candidate are left out."""
        values = torch.cat(self._values)
        self._values = []
        pl_module.log(AUC_OF_CANDIDATES, values.nanmean().float(), sync_dist=True)

    def _labelled(self, batch: Batch, size: int) -> Batch:
        users_B = batch.users_B[batch.query_rows_Q].tolist()
        drawn = [
            np.random.default_rng([self.seed, user]).choice(size, min(self.candidates, size), replace=False)
            for user in users_B
        ]
        negatives_BC = torch.from_numpy(np.stack(drawn)).to(batch.users_B.device)
        return dataclasses.replace(
            batch,
            negatives_QC=negatives_BC,
            negative_values_QC=torch.zeros(negatives_BC.shape, device=negatives_BC.device),
        )


@torch.no_grad()
def candidate_auc(model: nn.Module, batch: Batch, targets_BT: Tensor, size: int) -> Tensor:
    """AUC (B,) of each user's targets against the batch's negatives; NaN without a target or a candidate.

    Args:
        model: (Batch, Request) -> ModelOutput.
        batch: one query a user, with negatives.
        targets_BT: relevant items, padded with -1.
        size: number of items N.
    """
    assert batch.negatives_QC is not None
    wanted = torch.cat([targets_BT.clamp(min=0).flatten(), batch.negatives_QC.flatten()])
    candidates_R: Tensor = torch.unique(wanted)
    scores_BR = model(batch, Request(candidates_R, leading=False)).candidate_scores_QC
    asked_BX = torch.cat([targets_BT.clamp(min=0), batch.negatives_QC], dim=-1)
    scores_BX = scores_BR.gather(1, torch.searchsorted(candidates_R, asked_BX))
    taken_BN = torch.zeros(len(targets_BT), size + 1, dtype=torch.bool, device=targets_BT.device)
    taken_BN.scatter_(1, batch.seen_QS, True)
    is_target_BT = (targets_BT >= 0) & ~taken_BN.gather(1, targets_BT.clamp(min=0))
    taken_BN.scatter_(1, targets_BT.where(targets_BT >= 0, size), True)
    usable_BX = torch.cat([is_target_BT, ~taken_BN.gather(1, batch.negatives_QC)], dim=-1)
    scores_BTX = scores_BX[:, : targets_BT.shape[1]].unsqueeze(-1)
    above_BT = ((scores_BX.unsqueeze(1) > scores_BTX) & usable_BX.unsqueeze(1)).sum(-1)
    ties_BT = ((scores_BX.unsqueeze(1) == scores_BTX) & usable_BX.unsqueeze(1)).sum(-1)
    return auc(above_BT, ties_BT.masked_fill(~is_target_BT, 0), usable_BX.sum(-1))
