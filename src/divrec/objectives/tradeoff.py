"""loss = L + beta * R, term by term, named. The objective owns no model.

Shapes: B users (leading queries), Q queries, N items.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, distributed, nn

from divrec.batch import Batch, ModelOutput, Request, SoftSlate
from divrec.errors import ConfigError, check_number
from divrec.objectives.diversity import Regularizer
from divrec.objectives.factored_scores import FactoredScores
from divrec.objectives.gradients import GradientNorm
from divrec.objectives.processes import mean_over_processes
from divrec.objectives.task import TaskLoss

TASK, TOTAL = "task", "total"
REFERENCE_USERS = 256
_FEWEST, _MOST = 8, 32  # batches of a calibration
_SILENT = 1e-6  # a gradient that is smaller than this share of the task's is rounding


class TradeoffObjective(nn.Module):
    """The training loss: the task's loss plus beta times the weighted, scaled regularizers.

    At beta = 0, or without a regularizer, `total` is the task's loss itself: no term is added, so loss and gradient are
    the same bit for bit, and a NaN in a regularizer cannot reach them.

    Args:
        task: (scores, batch) -> scalar loss L.
        regularizers: by name; each (soft slate, batch) -> scalar penalty R.
        relaxation: masked scores_BN -> soft slate.
        beta: 0 = the task alone; larger trades accuracy for diversity.
        beta_scale: `gradient` multiplies each R by |g_L| / |g_R|, measured once at the start of training (`calibrate`),
            so that beta = 1 lets R pull as hard as L does on a batch of `reference_users`; `raw` adds beta * R as it
            is.
        exclude_seen: keep items that the user has touched out of the slates and the task's candidates, as at serving.
        compare_seen: whether the task's candidates hold them all the same, as those of a SASRec do whose softmax or
            negatives are of the whole catalogue (its authors drew negatives that the user never touches): more to tell
            the target apart from, and a user vector that only repeats the history gains nothing. Regularizers read the
            slates, which `exclude_seen` alone decides; where that is false, the task compares with them anyway.
        catalogue_size: number of items N. With it, a task with sampled negatives has nothing but targets and negatives
            scored; None = every item is.
        reference_users: size of the batches whose gradients `beta_scale: gradient` compares.
        spared_N: items that the task does not compare targets with: those without training events, say, which a model
            that reads text would otherwise learn to rank last. None = it compares with all.

    Attributes:
        outside_share: of the last differentiated step, the part of the regularizers' gradient by the scores (sum of
            absolute values) that lands on items outside the top k; None before.
        watched_norms: norm of the gradient of `task` and of each regularizer (as it is) on the watched parameters, when
            training starts; empty where none are watched.

    Raises:
        ConfigError: for a negative beta, an unknown scale, or beta > 0 without a regularizer.
    """

    def __init__(
        self,
        task: TaskLoss,
        regularizers: Mapping[str, Regularizer],
        relaxation: Callable[[Tensor], SoftSlate],
        beta: float = 0.0,
        beta_scale: Literal["gradient", "raw"] = "gradient",
        exclude_seen: bool = True,
        catalogue_size: int | None = None,
        spared_N: Tensor | None = None,
        reference_users: int = REFERENCE_USERS,
        compare_seen: bool = False,
    ) -> None:
        super().__init__()
        check_dials(beta, beta_scale, regularizers)
        self.catalogue_size, self.reference_users = catalogue_size, reference_users
        self.register_buffer("spared_N", spared_N, persistent=False)
        self.task, self.relaxation = task, relaxation
        self.regularizers = nn.ModuleDict(dict(regularizers))
        self.beta, self.beta_scale, self.exclude_seen = beta, beta_scale, exclude_seen
        self._task_excludes_seen = exclude_seen and not compare_seen
        self.register_buffer("ratios", torch.ones(len(regularizers)))
        self.outside_share: Tensor | None = None
        self.watched_norms: dict[str, float] = {}

    ratios: Tensor
    spared_N: Tensor | None

    @property
    def ratio_by_name(self) -> dict[str, float]:
        """The factor |g_L| / |g_R| of each regularizer; 1 before calibration and at raw scale."""
        return dict(zip(self.regularizers, self.ratios.tolist(), strict=True))

    @property
    def needs_calibration(self) -> bool:
        """Whether `calibrate` has to run before the first step."""
        return self.beta > 0 and self.beta_scale == "gradient"

    def step(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Ask a model (Batch[, Request] -> ModelOutput) for what the terms need, and compute them; see `forward`."""
        if self.task.chunk is not None:
            request = Request(None, leading=self.beta > 0)
            return self(model(batch, request), batch, request)
        if self.catalogue_size is None:
            return self(model(batch), batch)
        batch = self.task.with_negatives(batch, self.catalogue_size)
        if batch.negatives_QC is None:
            return self(model(batch), batch)
        candidates_C = torch.unique(torch.cat([batch.target_items_P, batch.negatives_QC.flatten()]))
        request = Request(candidates_C, leading=self.beta > 0)
        return self(model(batch, request), batch, request)

    def forward(self, output: ModelOutput, batch: Batch, request: Request | None = None) -> dict[str, Tensor]:
        """All terms of the loss.

        Args:
            output: of the model.
            batch: what it was asked about.
            request: what it was asked to score; None = every item for every query.

        Raises:
            ConfigError: scores are to be computed from vectors, and the model has none.

        Returns:
            `task`, `diversity/NAME` for each regularizer (R as it is; left out where the leading queries have not been
            scored on every item), and `total`, the one to differentiate. Where beta > 0 also `scaled/NAME` (ratio * R)
            and `weighted/NAME` (beta * weight * ratio * R): `total` is `task` and the sum of the weighted ones.
            Differentiating `total` sets `outside_share`.
        """
        scores_QN, masked = output.scores_QN, request is None and self._task_excludes_seen
        if masked:
            scores_QN = self._servable(scores_QN, batch.seen_QS)
        if request is None:
            terms = {TASK: self.task(self._compared(scores_QN), batch)}
        else:
            terms = {TASK: self._task_of_request(output, batch, request)}
        if not self.regularizers or (request is not None and not request.leading):
            return {**terms, TOTAL: terms[TASK]}
        scores_BN = scores_QN[: batch.users_B.shape[0]]
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.beta > 0):
            penalties = self._penalties(scores_BN if masked else self._servable(scores_BN, batch.seen_QS), batch)
        terms |= {f"diversity/{name}": penalty for name, penalty in penalties.items()}
        if self.beta == 0:
            return {**terms, TOTAL: terms[TASK]}
        scaled = {name: ratio * penalties[name] for ratio, name in zip(self.ratios, self.regularizers, strict=True)}
        weighted = {
            name: scaled[name] * regularizer.weight * self.beta for name, regularizer in self.regularizers.items()
        }
        terms |= {f"scaled/{name}": term for name, term in scaled.items()}
        terms |= {f"weighted/{name}": term for name, term in weighted.items()}
        return {**terms, TOTAL: terms[TASK] + torch.stack(list(weighted.values())).sum()}

    def calibration_batches(self, first: Batch) -> int:
        """How many batches like this one `calibrate` needs, the same on all processes.

        Eight of `reference_users`, and of fewer users more: it takes users to tell a gradient from its noise.
        """
        wanted = math.ceil(_FEWEST * self.reference_users / _mean_users([first]))
        return min(max(wanted, _FEWEST), _MOST)

    def calibrate(
        self, model: nn.Module, batches: Iterable[Batch], watched: Sequence[nn.Parameter] = ()
    ) -> dict[str, float]:
        """Measure |g_L| / |g_R| on the trainable parameters over a few batches, and fix it.

        The batches are passed twice: first to fill the memories of catalogue-level regularizers, then to measure. The
        norms are those of batches of `reference_users`, whatever the size of these: near the end of a training the
        gradient of L is mostly the noise of a batch, which grows as batches shrink, while that of R is not.

        Args:
            model: in training.
            batches: as many as `calibration_batches` says.
            watched: trainable parameters, those of a language model say, whose own norms are wanted besides.

        Returns:
            The ratio by regularizer.

        Raises:
            ConfigError: if a regularizer has no gradient, so that no beta could make it act.
        """
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        batches = list(batches)
        with torch.no_grad():
            for batch in batches:
                self.step(model, batch)
        norms = {name: GradientNorm(parameters) for name in (TASK, *self.regularizers)}
        for batch in batches:
            terms = self.step(model, batch)
            for name, norm in norms.items():
                norm.add(terms[name if name == TASK else f"diversity/{name}"])
        if watched:
            self.watched_norms = {name: norm.of_batches(watched) for name, norm in norms.items()}
        times = self.reference_users / _mean_users(batches)
        lengths = {name: norm.of_larger_batches(times) for name, norm in norms.items()}
        for position, name in enumerate(self.regularizers):
            if not lengths[name] > _SILENT * lengths[TASK]:
                raise ConfigError(
                    "has no gradient here, so beta cannot act",
                    where=f"diversity.{name}",
                    mend="Choose another regularizer, or beta_scale=raw to train with it all the same.",
                )
            self.ratios[position] = lengths[TASK] / lengths[name]
        return self.ratio_by_name

    def _task_of_request(self, output: ModelOutput, batch: Batch, request: Request) -> Tensor:
        if request.candidates_C is None:
            return self._task_of_vectors(output, batch)
        assert output.candidate_scores_QC is not None
        local = _among(batch, request.candidates_C)
        scores_QC = output.candidate_scores_QC
        if self._task_excludes_seen:
            scores_QC = self._servable(scores_QC, local.seen_QS)
        return self.task(self._compared(scores_QC, request.candidates_C), local)

    def _task_of_vectors(self, output: ModelOutput, batch: Batch) -> Tensor:
        if output.users_QD is None or output.items_ND is None:
            raise ConfigError(
                "the model has no vectors whose dot product is the score",
                where="task.chunk",
                got=self.task.chunk,
                mend="Set it to null.",
            )
        seen_QS = batch.seen_QS if self._task_excludes_seen else None
        scores = FactoredScores(output.users_QD, output.items_ND, seen_QS, self.spared_N)
        return self.task(scores, batch)

    def _penalties(self, scores_BN: Tensor, batch: Batch) -> dict[str, Tensor]:
        """R by name, read from the rows of scores that the task has asked for anyway."""
        # Half precision cannot tell a threshold among thousands of scores.
        with torch.autocast(scores_BN.device.type, enabled=False):
            slate = self.relaxation(scores_BN)
            if scores_BN.requires_grad:
                places_BK = slate.weights_BM.detach().topk(min(slate.k, slate.weights_BM.shape[1]), dim=-1).indices
                inside_BK = slate.items_BM.gather(1, places_BK)
                scores_BN.register_hook(  # type: ignore[no-untyped-call]
                    lambda gradient_BN: self._measure_outside_share(gradient_BN, inside_BK)
                )
            return {name: regularizer(slate, batch) for name, regularizer in self.regularizers.items()}

    def _measure_outside_share(self, gradient_BN: Tensor, inside_BK: Tensor) -> None:
        size_BN = gradient_BN.detach().abs()
        total, inside = size_BN.sum(), size_BN.gather(1, inside_BK).sum()
        self.outside_share = (total - inside) / total.clamp(min=torch.finfo(total.dtype).tiny)  # no gradient: 0

    def _compared(self, scores_QC: Tensor, candidates_C: Tensor | None = None) -> Tensor:
        """Scores with the spared items masked out, which the delivered lists, and R, keep."""
        if self.spared_N is None:
            return scores_QC
        spared_C = self.spared_N if candidates_C is None else self.spared_N[candidates_C]
        return scores_QC.masked_fill(spared_C, -torch.inf)

    def _servable(self, scores_QN: Tensor, seen_QS: Tensor) -> Tensor:
        if not self.exclude_seen:
            return scores_QN
        queries, size = scores_QN.shape
        seen_QN = torch.zeros(queries, size + 1, dtype=torch.bool, device=scores_QN.device)
        return scores_QN.masked_fill(seen_QN.scatter_(1, seen_QS[:queries], True)[:, :size], -torch.inf)


def check_dials(beta: float, beta_scale: str, regularizers: Iterable[str]) -> None:
    """Refuse dials that make no sense; cheap, so that a run can ask before it loads anything.

    Raises:
        ConfigError: as `TradeoffObjective`.
    """
    check_number("beta", beta, least=0)
    if beta_scale not in ("gradient", "raw"):
        raise ConfigError("no such scale", where="beta_scale", got=beta_scale, mend="Use gradient or raw.")
    if beta > 0 and not list(regularizers):
        raise ConfigError(
            "there is no regularizer for it to weigh",
            where="beta",
            got=beta,
            mend="Add diversity=gini (or another of conf/diversity), or set beta=0.",
        )


def _mean_users(batches: Sequence[Batch]) -> float:
    """Users in a batch, those of all processes."""
    users = batches[0].users_B.new_tensor([batch.users_B.shape[0] for batch in batches]).float()
    processes = distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
    return float(mean_over_processes(users).mean()) * processes


def _among(batch: Batch, candidates_C: Tensor) -> Batch:
    """The batch with items as places among the candidates; seen items that are none of them turn into padding."""
    size = candidates_C.shape[0]
    seen_QS = torch.searchsorted(candidates_C, batch.seen_QS.contiguous())
    is_candidate_QS = candidates_C[seen_QS.clamp(max=size - 1)] == batch.seen_QS
    assert batch.negatives_QC is not None
    return dataclasses.replace(
        batch,
        seen_QS=seen_QS.masked_fill(~is_candidate_QS, size),
        target_items_P=torch.searchsorted(candidates_C, batch.target_items_P),
        negatives_QC=torch.searchsorted(candidates_C, batch.negatives_QC.contiguous()),
    )
