"""Maximal marginal relevance (Carbonell & Goldstein 1998), greedy, for all users of a batch at once.

Shapes: B users, M candidates, K delivered items, N items, D dimension.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from divrec.batch import Catalogue, Ranking, Slate
from divrec.errors import ConfigError
from divrec.ranking import deliver
from divrec.similarity import similarity

Relevance = Literal["zscore", "probability"]

_CHUNK = 2**24  # numbers held at once: users x candidates x dimension


class MaximalMarginalRelevance:
    """Choose one item at a time by (1 - diversity) * relevance - diversity * greatest similarity to those chosen.

    The similarity is the S in [0, 1] of `divrec.similarity`. The first item is always the best ranked one; equal gains
    go to the better ranked item. Candidates scored -inf come after all others.

    Args:
        diversity: 0 = the ranking as it came, exactly; 1 = similarity only, the scores count for the first item alone.
        relevance: "zscore" = score less its mean over the user's pool, in standard deviations, which makes the knob
            independent of the scores' scale; "probability" = softmax of the scores over the pool.
        pool: number of best ranked items that can be chosen.

    Raises:
        ConfigError: an argument is out of its range; at the call, `k` is above the pool or the ranking's length.
    """

    name = "mmr"

    def __init__(self, diversity: float, relevance: Relevance = "zscore", pool: int = 100) -> None:
        if not 0 <= diversity <= 1:
            raise ConfigError("diversity lies in [0, 1]", where="rerank.mmr.diversity", got=diversity)
        if relevance not in get_args(Relevance):
            options = " or ".join(get_args(Relevance))
            raise ConfigError(f"relevance is {options}", where="rerank.mmr.relevance", got=relevance)
        if pool < 1:
            raise ConfigError("a pool holds at least one item", where="rerank.mmr.pool", got=pool)
        self.diversity = float(diversity)
        self.relevance: Relevance = relevance
        self.pool = pool

    @torch.no_grad()
    def __call__(self, ranking: Ranking, catalogue: Catalogue, k: int) -> Slate:
        """Re-rank the pool of every user.

        Args:
            ranking: at least k places a user; -1 is padding.
            catalogue: gives the vectors that similarity is measured with.
            k: length of the delivered lists.

        Returns:
            the lists with the model's own scores, padded with -1 where a user has fewer than k candidates.
        """
        if k > self.pool:
            raise ConfigError(
                f"the pool of {self.pool} is smaller than the list", where="k", got=k, mend="Raise rerank.mmr.pool"
            )
        as_ranked = deliver(ranking, k)
        if self.diversity == 0:
            return as_ranked
        items_BM, scores_BM = ranking.items_BM[:, : self.pool], ranking.scores_BM[:, : self.pool]
        rows = max(1, _CHUNK // (items_BM.shape[1] * catalogue.vectors_ND.shape[1]))
        chunks = range(0, max(1, items_BM.shape[0]), rows)
        chosen_BK = torch.cat(
            [self._choose(items_BM[at : at + rows], scores_BM[at : at + rows], catalogue, k) for at in chunks]
        )
        picked_BK = items_BM.gather(1, chosen_BK)
        return Slate(picked_BK, scores_BM.gather(1, chosen_BK).masked_fill(picked_BK < 0, -torch.inf))

    def _choose(self, items_BM: Tensor, scores_BM: Tensor, catalogue: Catalogue, k: int) -> Tensor:
        """Places in the pool of the k chosen items, in the order of choice; padding is chosen last."""
        vectors_BMD = catalogue.vectors_ND[items_BM.clamp(min=0)]
        relevance_BM = (1 - self.diversity) * self._relevance(scores_BM)
        users = torch.arange(items_BM.shape[0], device=items_BM.device)
        closest_BM = torch.zeros_like(relevance_BM)
        free_BM = torch.ones_like(items_BM, dtype=torch.bool)
        chosen = []
        for _ in range(k):
            gain_BM = relevance_BM - self.diversity * closest_BM
            best_B = _first_best(gain_BM, free_BM, items_BM >= 0, scores_BM > -torch.inf)
            chosen.append(best_B)
            free_BM[users, best_B] = False
            near_BM = similarity(vectors_BMD, vectors_BMD[users, best_B].unsqueeze(1)).squeeze(-1)
            closest_BM = torch.maximum(closest_BM, near_BM.to(closest_BM.dtype))
        return torch.stack(chosen, dim=1)

    def _relevance(self, scores_BM: Tensor) -> Tensor:
        """Relevance of the candidates with a finite score, in at least single precision; 0 for the others."""
        finite_BM = scores_BM > -torch.inf
        scores_BM = scores_BM if scores_BM.dtype == torch.float64 else scores_BM.float()
        if self.relevance == "probability":
            return scores_BM.softmax(-1).nan_to_num(0)
        count_B1 = finite_BM.sum(-1, keepdim=True).clamp(min=1)
        mean_B1 = scores_BM.masked_fill(~finite_BM, 0).sum(-1, keepdim=True) / count_B1
        centered_BM = (scores_BM - mean_B1).masked_fill(~finite_BM, 0)
        deviation_B1 = (centered_BM.square().sum(-1, keepdim=True) / count_B1).sqrt()
        return centered_BM / deviation_B1.masked_fill(deviation_B1 == 0, 1)


def _first_best(gain_BM: Tensor, free_BM: Tensor, real_BM: Tensor, finite_BM: Tensor) -> Tensor:
    """Place of the greatest gain among free candidates, else of a free one at -inf, else of padding."""
    lowest = torch.finfo(gain_BM.dtype).min
    ordered_BM = gain_BM.masked_fill(~finite_BM, lowest / 2).masked_fill(~real_BM, lowest)
    return ordered_BM.masked_fill(~free_BM, -torch.inf).argmax(-1)
