"""Candidates and labels of training queries: which items stand against the targets, and what a pair is worth.

Q queries, C candidates, P targets, S seen items, N items, D dimension.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from divrec.batch import Batch
from divrec.data.histories import Histories, Numbers, spread
from divrec.errors import ConfigError

UNIFORM, POPULARITY, IN_BATCH, MIXED, HARD = "uniform", "popularity", "in_batch", "mixed", "hard"
NEGATIVES = (UNIFORM, POPULARITY, IN_BATCH, MIXED, HARD)
EVENT_LABEL, SIMILARITY_LABEL = "event", "similarity"


@dataclass(frozen=True)
class Sampling:
    """How training candidates are drawn and labeled.

    Attributes:
        negatives: "uniform" over the catalogue; "popularity", by training events; "in_batch", what the batch's other
            queries ask for; "mixed", half uniform and half in-batch; "hard", the items most similar to the user's
            history in the frozen text space that the user has never touched. All but "hard" are shared by the batch.
            None = the task draws its own.
        num_negatives: candidates a query; 100 is the founding document's case study. More = a loss closer to that over
            all items, slower steps.
        label: "event", a target is worth its event's weight and other candidates 0; "similarity", every pair of user
            and item is worth the similarity in [0, 1] of the user's history to the item's text vector: for the mse
            task, and for users with next to no events.
    """

    negatives: str | None = None
    num_negatives: int = 100
    label: str = EVENT_LABEL

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        if self.negatives is not None and self.negatives not in NEGATIVES:
            raise ConfigError(
                "no such negatives",
                where="data.sampling.negatives",
                got=self.negatives,
                mend=f"Choose among {', '.join(NEGATIVES)}, or null.",
            )
        if self.label not in (EVENT_LABEL, SIMILARITY_LABEL):
            raise ConfigError("must be event or similarity", where="data.sampling.label", got=self.label)
        if self.num_negatives < 1:
            raise ConfigError("must be at least 1", where="data.sampling.num_negatives", got=self.num_negatives)
        if self.label == SIMILARITY_LABEL and self.negatives is None:
            raise ConfigError(
                "needs candidates to label",
                where="data.sampling.label",
                got=self.label,
                mend="Set data.sampling.negatives=uniform, say.",
            )

    @property
    def needs_vectors(self) -> bool:
        """Whether the frozen text vectors of the items are asked."""
        return self.label == SIMILARITY_LABEL or self.negatives == HARD


class CandidateSampler:
    """Adds candidates and labels to batches.

    Args:
        sampling: how.
        counts_N: training events of each item.
        vectors_ND: unit text vectors of the frozen catalogue, where `sampling` needs them.

    Raises:
        ConfigError: vectors are needed and not given.
    """

    def __init__(self, sampling: Sampling, counts_N: NDArray[np.integer], vectors_ND: Tensor | None = None) -> None:
        if sampling.needs_vectors and vectors_ND is None:
            raise ConfigError(
                "needs the text vectors of the items, which nobody has given",
                where="data.sampling",
                got=[sampling.negatives, sampling.label],
                mend="Call use_vectors(...) on the data module before training; `divrec.run.train` does.",
            )
        self.sampling = sampling
        self._size = len(counts_N)
        self._shares_N = np.cumsum(counts_N) / max(counts_N.sum(), 1)
        self._vectors_ND = None if vectors_ND is None else vectors_ND.detach().float().cpu()

    def add(self, batch: Batch, histories: Histories, rows_Q: Numbers, pool: Numbers, seed: list[int]) -> Batch:
        """The batch with candidates and their labels.

        Args:
            batch: cut from `histories`.
            histories: of the split.
            rows_Q: row of `histories` of each query.
            pool: targets of the whole step, over all ranks.
            seed: of the candidates of this step; the same on all ranks.
        """
        users_QD = self._users(batch) if self.sampling.needs_vectors else None
        if self.sampling.negatives == HARD:
            assert users_QD is not None
            negatives_QC = self._hardest(users_QD, histories, rows_Q)
        else:
            shared = self._shared(np.random.default_rng(seed), pool)
            negatives_QC = torch.from_numpy(shared).expand(len(rows_Q), -1)
        chances_N = self._chances(pool)
        values_QC, values_P = torch.zeros(negatives_QC.shape), batch.target_values_P
        if self.sampling.label == SIMILARITY_LABEL:
            assert users_QD is not None
            assert self._vectors_ND is not None
            values_QC = self._similarity(torch.einsum("qd,qcd->qc", users_QD, self._vectors_ND[negatives_QC]))
            targets_PD = self._vectors_ND[batch.target_items_P]
            values_P = self._similarity((users_QD[batch.target_queries_P] * targets_PD).sum(-1))
        return dataclasses.replace(
            batch,
            negatives_QC=negatives_QC.contiguous(),
            negative_values_QC=values_QC,
            negative_log_q_QC=None if chances_N is None else chances_N.log()[negatives_QC],
            target_values_P=values_P,
        )

    def _chances(self, pool: Numbers) -> Tensor | None:
        """Chance (N,) of each item to be the next one drawn; None where it is not drawn at random."""
        kind = self.sampling.negatives
        if kind == HARD:
            return None
        uniform_N = torch.full((self._size,), 1 / self._size)
        if kind == UNIFORM:
            return uniform_N
        if kind == POPULARITY:
            return torch.from_numpy(np.diff(self._shares_N, prepend=0)).float()
        in_batch_N = torch.from_numpy(np.bincount(pool, minlength=self._size) / len(pool)).float()
        part = {IN_BATCH: 0.0, MIXED: 1 - (self.sampling.num_negatives // 2) / self.sampling.num_negatives}[str(kind)]
        return part * uniform_N + (1 - part) * in_batch_N

    def _shared(self, generator: np.random.Generator, pool: Numbers) -> NDArray[np.int64]:
        count, kind = self.sampling.num_negatives, self.sampling.negatives
        if kind == POPULARITY:
            drawn = np.searchsorted(self._shares_N, generator.random(count), side="right")
            return np.minimum(drawn, self._size - 1).astype(np.int64)
        in_batch = {UNIFORM: 0, IN_BATCH: count, MIXED: count // 2}[str(kind)]
        uniform = generator.integers(self._size, size=count - in_batch)
        return np.concatenate([uniform, generator.choice(pool, in_batch)]).astype(np.int64)

    def _users(self, batch: Batch) -> Tensor:
        """Unit vectors of the histories: the weighted mean of the text vectors of what was touched."""
        assert self._vectors_ND is not None
        padded = torch.cat([self._vectors_ND, self._vectors_ND.new_zeros(1, self._vectors_ND.shape[1])])
        sums_QD = functional.embedding_bag(batch.seen_QS, padded, per_sample_weights=batch.history_QS, mode="sum")
        return functional.normalize(sums_QD, dim=-1)

    def _hardest(self, users_QD: Tensor, histories: Histories, rows_Q: Numbers) -> Tensor:
        """The most similar items that the user never touches, before the query or after it."""
        assert self._vectors_ND is not None
        scores_QN = users_QD @ self._vectors_ND.T
        queries, events = spread(histories.offsets_R[rows_Q], histories.offsets_R[rows_Q + 1])
        scores_QN[torch.from_numpy(queries), torch.from_numpy(histories.items_E[events].astype(np.int64))] = -torch.inf
        return scores_QN.topk(min(self.sampling.num_negatives, self._size), dim=-1).indices

    @staticmethod
    def _similarity(cosine: Tensor) -> Tensor:
        return ((1 + cosine) / 2).clamp(0, 1)
