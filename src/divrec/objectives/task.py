"""Task losses L(y_hat, y).

Shapes: Q queries, N items that are scored (all, or the candidates of a step), C negatives, P positive targets. Seen
items arrive masked with -inf where they are not delivered.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from divrec.batch import Batch
from divrec.errors import ConfigError, check_number
from divrec.objectives.factored_scores import FactoredScores
from divrec.objectives.processes import mean_over_processes


class TaskLoss(nn.Module):
    """Base of all task losses.

    Attributes:
        chunk: items of which scores are held at a time, by a loss that takes `FactoredScores`; None = it takes scores.
    """

    chunk: int | None = None

    def with_negatives(self, batch: Batch, size: int) -> Batch:
        """The batch with the negatives that this loss compares targets with; as it came where it takes all items.

        Args:
            batch: brings negatives of its own, or none.
            size: number of items in the catalogue.
        """
        return dataclasses.replace(batch, negatives_QC=None, negative_values_QC=None, negative_log_q_QC=None)

    def forward(self, scores_QN: Tensor, batch: Batch) -> Tensor:
        """The loss, a scalar; the items of the batch are columns of the scores."""
        raise NotImplementedError


class CrossEntropy(TaskLoss):
    """Softmax over all items: mean over positives of log sum exp(s) - s_target, weighted by the label.

    Args:
        chunk: items of which scores are held at a time: fewer = less memory. null holds the scores of all items at
            once, and their gradient: Q x N each. Loss and gradient are the same up to rounding. Where beta > 0, the
            regularizers still read whole rows, of the leading queries alone; at beta = 0 they are not computed.

    Raises:
        ConfigError: no such number of items.
    """

    def __init__(self, chunk: int | None = None) -> None:
        super().__init__()
        if chunk is not None:
            check_number("task.chunk", chunk, least=1, whole=True)
        self.chunk = chunk

    def forward(self, scores_QN: Tensor | FactoredScores, batch: Batch) -> Tensor:
        """The loss, a scalar that starts near ln N; of scores that are there already, or are made chunk by chunk."""
        if isinstance(scores_QN, FactoredScores):
            chunk = self.chunk or scores_QN.items_ND.shape[0]
            return _weighted_mean(scores_QN.surprise(batch.target_queries_P, batch.target_items_P, chunk), batch)
        normalizer_Q = scores_QN.logsumexp(-1)
        surprise_P = normalizer_Q[batch.target_queries_P] - _positive_scores(scores_QN, batch)
        return _weighted_mean(surprise_P, batch)


class AgainstNegatives(TaskLoss):
    """Positives against negatives: those that the data brings (data.sampling), or uniform ones that the batch shares.

    Args:
        num_negatives: uniform negatives a step where the data brings none (100 is the founding document's case study);
            more = closer to a loss over all items, slower. null takes all items.
        seed: of the negatives' own random generator.
    """

    def __init__(self, num_negatives: int | None = 100, seed: int = 0) -> None:
        super().__init__()
        if num_negatives is not None:
            check_number("task.num_negatives", num_negatives, least=1, whole=True)
        self.num_negatives = num_negatives
        self._generator = torch.Generator().manual_seed(seed)

    def with_negatives(self, batch: Batch, size: int) -> Batch:
        """The data's own negatives, or drawn ones with label 0."""
        if batch.negatives_QC is not None:
            return batch
        if self.num_negatives is None:
            return super().with_negatives(batch, size)
        drawn_C = torch.randint(size, (self.num_negatives,), generator=self._generator).to(batch.users_B.device)
        negatives_QC = drawn_C.expand(batch.query_rows_Q.shape[0], -1)
        zeros_QC = torch.zeros((), device=drawn_C.device).expand_as(negatives_QC)
        return dataclasses.replace(
            batch, negatives_QC=negatives_QC, negative_values_QC=zeros_QC, negative_log_q_QC=zeros_QC - math.log(size)
        )

    def forward(self, scores_QN: Tensor, batch: Batch) -> Tensor:
        """The loss, a scalar; negatives are drawn here unless the batch has some."""
        batch = self.with_negatives(batch, scores_QN.shape[1])
        negatives_QC, is_target_QC = scores_QN, _is_target(batch, scores_QN)
        if batch.negatives_QC is not None:
            negatives_QC = scores_QN.gather(1, batch.negatives_QC)
            is_target_QC = is_target_QC.gather(1, batch.negatives_QC)
        usable_QC = torch.isfinite(negatives_QC) & ~is_target_QC
        return self.compare(
            _positive_scores(scores_QN, batch), negatives_QC.masked_fill(~usable_QC, 0), usable_QC, batch
        )

    def compare(self, positive_P: Tensor, negatives_QC: Tensor, usable_QC: Tensor, batch: Batch) -> Tensor:
        """The loss, a scalar.

        Args:
            positive_P: scores of the targets.
            negatives_QC: scores of the negatives, 0 where not usable.
            usable_QC: which negatives can be compared with: neither targets of the query nor seen.
            batch: what the scores are of.
        """
        raise NotImplementedError


class SampledCrossEntropy(AgainstNegatives):
    """Softmax over each target and sampled negatives.

    With the correction, a negative's score is lowered by the logarithm of how often it is expected in the sample, so
    that the sum over the sample estimates the sum over all items; the target is always there and stays as it is
    (Bengio and Senecal 2008, importance sampling). Without it, items that are drawn often are pushed down more.

    Args:
        num_negatives: uniform negatives a step where the data brings none; more = closer to `CrossEntropy`, slower.
        log_q: whether scores are corrected. Without, the same negatives give a flatter model that shows more of the
            catalogue: a baseline for every claim about coverage.
        seed: of the negatives' own random generator.

    Raises:
        ConfigError: the correction is asked for with negatives whose chance nobody knows (`hard`).
    """

    def __init__(self, num_negatives: int = 256, log_q: bool = True, seed: int = 0) -> None:
        check_number("task.num_negatives", num_negatives, least=1, whole=True)
        super().__init__(num_negatives, seed)
        self.log_q = log_q

    def compare(self, positive_P: Tensor, negatives_QC: Tensor, usable_QC: Tensor, batch: Batch) -> Tensor:
        """The loss; with the correction it starts near ln N, without near ln C."""
        if self.log_q:
            if batch.negative_log_q_QC is None:
                raise ConfigError(
                    "cannot be corrected for: the chance of these negatives is not known",
                    where="task.log_q",
                    got=self.log_q,
                    mend="Set it to false, or choose other data.sampling.negatives.",
                )
            negatives_QC = negatives_QC - batch.negative_log_q_QC - math.log(negatives_QC.shape[1])
        # A finite floor: the gradient of a log-sum-exp of nothing is NaN.
        others_Q = negatives_QC.masked_fill(~usable_QC, torch.finfo(negatives_QC.dtype).min).logsumexp(-1)
        return _weighted_mean(torch.logaddexp(positive_P, others_Q[batch.target_queries_P]) - positive_P, batch)


class BayesianPersonalizedRanking(AgainstNegatives):
    """-log sigmoid(s_target - s_negative), averaged over negatives (BPR, Rendle et al. 2009, with shared negatives)."""

    def compare(self, positive_P: Tensor, negatives_QC: Tensor, usable_QC: Tensor, batch: Batch) -> Tensor:
        """The loss; it starts near ln 2."""
        usable_PC = usable_QC[batch.target_queries_P]
        lost_PC = functional.softplus(negatives_QC[batch.target_queries_P] - positive_P.unsqueeze(-1)) * usable_PC
        return _weighted_mean(lost_PC.sum(-1) / usable_PC.sum(-1).clamp(min=1), batch)


class _Pointwise(AgainstNegatives):
    """Scores against labels; the means over positives and over negatives are added so that neither drowns the other."""

    def compare(self, positive_P: Tensor, negatives_QC: Tensor, usable_QC: Tensor, batch: Batch) -> Tensor:
        """The loss."""
        labels_QC = negatives_QC.new_zeros(()) if batch.negative_values_QC is None else batch.negative_values_QC
        labels_QC = labels_QC.to(negatives_QC.dtype).expand_as(negatives_QC)
        from_negatives = self.penalty(negatives_QC, labels_QC)
        from_positives = self.penalty(positive_P, batch.target_values_P)
        negatives = mean_over_processes(usable_QC.sum()).clamp(min=1)
        positives = mean_over_processes(torch.ones_like(from_positives).sum())
        return from_positives.sum() / positives + (from_negatives * usable_QC).sum() / negatives

    def penalty(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Elementwise loss of scores against labels in [0, 1]."""
        raise NotImplementedError


class BinaryCrossEntropy(_Pointwise):
    """Binary cross-entropy of sigmoid(s) against the label (1 or the event's weight) and against 0 for negatives."""

    def penalty(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Elementwise, with logits."""
        return functional.binary_cross_entropy_with_logits(scores, labels, reduction="none")


class MeanSquaredError(_Pointwise):
    """Squared error of s itself against the label (rating or event weight in (0, 1]) and against 0 for negatives."""

    def penalty(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Elementwise."""
        return (scores - labels).square()


def _positive_scores(scores_QN: Tensor, batch: Batch) -> Tensor:
    return scores_QN[batch.target_queries_P, batch.target_items_P]


def _weighted_mean(loss_P: Tensor, batch: Batch) -> Tensor:
    """Of a batch, over all processes; batches that one optimizer step accumulates count alike, however many labels."""
    return (loss_P * batch.target_values_P).sum() / mean_over_processes(batch.target_values_P.sum())


def _is_target(batch: Batch, scores_QN: Tensor) -> Tensor:
    hits_QN = torch.zeros_like(scores_QN, dtype=torch.bool)
    hits_QN[batch.target_queries_P, batch.target_items_P] = True
    return hits_QN
