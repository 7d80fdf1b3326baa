"""Task losses L(y_hat, y).

Shapes: Q queries, N items, P positive targets. Seen items arrive masked with -inf where they are not delivered.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from divrec.batch import Batch
from divrec.errors import ConfigError
from divrec.objectives.processes import mean_over_processes


class CrossEntropy(nn.Module):
    """Softmax over all items: mean over positives of log sum exp(s) - s_target, weighted by the label."""

    def forward(self, scores_QN: Tensor, batch: Batch) -> Tensor:
        """The loss, a scalar that starts near ln N."""
        normalizer_Q = scores_QN.logsumexp(-1)
        surprise_P = normalizer_Q[batch.target_queries_P] - _positive_scores(scores_QN, batch)
        return (surprise_P * batch.target_values_P).sum() / mean_over_processes(batch.target_values_P.sum())


class _AgainstNegatives(nn.Module):
    """Positives against negatives that the whole batch shares, the two means added so that neither drowns the other.

    Args:
        num_negatives: where the data brings no candidates (data.sampling), uniform negatives a step (100 is the
            founding document's case study); null takes all items.
        seed: of the negatives' own random generator.
    """

    def __init__(self, num_negatives: int | None = 100, seed: int = 0) -> None:
        super().__init__()
        if num_negatives is not None and num_negatives < 1:
            raise ConfigError("needs at least one negative", where="task.num_negatives", got=num_negatives)
        self.num_negatives = num_negatives
        self._generator = torch.Generator().manual_seed(seed)

    def forward(self, scores_QN: Tensor, batch: Batch) -> Tensor:
        """The loss, a scalar."""
        negatives_QC, is_target_QC, labels_QC = self._candidates(scores_QN, batch)
        usable_QC = torch.isfinite(negatives_QC) & ~is_target_QC
        from_negatives = self.penalty(negatives_QC.masked_fill(~usable_QC, 0), labels_QC)
        from_positives = self.penalty(_positive_scores(scores_QN, batch), batch.target_values_P)
        negatives = mean_over_processes(usable_QC.sum()).clamp(min=1)
        positives = mean_over_processes(torch.full_like(from_positives, 1).sum())
        return from_positives.sum() / positives + (from_negatives * usable_QC).sum() / negatives

    def penalty(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Elementwise loss of scores against labels in [0, 1]."""
        raise NotImplementedError

    def _candidates(self, scores_QN: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, whether they are targets, and labels of the candidates: the batch's own, or drawn here."""
        is_target_QN = _is_target(batch, scores_QN)
        if batch.negatives_QC is None or batch.negative_values_QC is None:
            items_C = self._negatives(scores_QN)
            negatives_QC = scores_QN[:, items_C]
            return negatives_QC, is_target_QN[:, items_C], torch.zeros_like(negatives_QC)
        negatives_QC = scores_QN.gather(1, batch.negatives_QC)
        labels_QC = batch.negative_values_QC.to(scores_QN.dtype)
        return negatives_QC, is_target_QN.gather(1, batch.negatives_QC), labels_QC

    def _negatives(self, scores_QN: Tensor) -> Tensor:
        size = scores_QN.shape[1]
        if self.num_negatives is None:
            return torch.arange(size, device=scores_QN.device)
        return torch.randint(size, (self.num_negatives,), generator=self._generator).to(scores_QN.device)


class BinaryCrossEntropy(_AgainstNegatives):
    """Binary cross-entropy of sigmoid(s) against the label (1 or the event's weight) and against 0 for negatives."""

    def penalty(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Elementwise, with logits."""
        return functional.binary_cross_entropy_with_logits(scores, labels, reduction="none")


class MeanSquaredError(_AgainstNegatives):
    """Squared error of s itself against the label (rating or event weight in (0, 1]) and against 0 for negatives."""

    def penalty(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Elementwise."""
        return (scores - labels).square()


def _positive_scores(scores_QN: Tensor, batch: Batch) -> Tensor:
    return scores_QN[batch.target_queries_P, batch.target_items_P]


def _is_target(batch: Batch, scores_QN: Tensor) -> Tensor:
    hits_QN = torch.zeros_like(scores_QN, dtype=torch.bool)
    hits_QN[batch.target_queries_P, batch.target_items_P] = True
    return hits_QN
