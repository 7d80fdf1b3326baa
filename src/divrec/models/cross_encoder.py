"""The language model reads profile and product text together and scores the pair.

Shapes: Q queries, N items, X pairs, C candidates of a query, W tokens, D width of the language model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from divrec.batch import Batch, ModelOutput, Request
from divrec.errors import ConfigError, check_number
from divrec.models.build import ItemTexts
from divrec.models.encoder import TextEncoder
from divrec.models.pair_scorer import PairScorer


class CrossEncoder:
    """Recipe of the cross encoder: y_i = f(x', product text i), read in one pass of the language model.

    It is the dearest way to use a language model: a pass for each user and item instead of one for each text. So only
    a few items of a user are read, and the others follow behind in the order of a first stage.

    Args:
        candidates: best items of the first stage that are read for each user: more = nearer to ranking all items,
            dearer.
        first_stage: folder of a finished run on the same data whose best items are read; null reads a random sample of
            the items, the same at each evaluation, and leaves the rest in random order: a check of the scores, no
            recommender.
        development_candidates: items beside the targets on which the AUC of the development set is measured at each
            validation; 100 is the founding document's case study.
        trained_layers: last layers of the language model that are trained along; 0 = the score's head alone, more =
            slower.
        max_tokens: of profile and product together; the longer one, mostly the profile, is cut.
        exclude_seen: whether seen items are passed over when candidates are chosen.
        seed: of the random sample.

    Raises:
        ConfigError: a number is out of its range.
    """

    def __init__(
        self,
        candidates: int = 100,
        first_stage: str | None = None,
        development_candidates: int = 100,
        trained_layers: int = 2,
        max_tokens: int = 128,
        exclude_seen: bool = True,
        seed: int = 0,
    ) -> None:
        check_number("model.candidates", candidates, least=1, whole=True)
        check_number("model.development_candidates", development_candidates, least=1, whole=True)
        check_number("model.trained_layers", trained_layers, least=0, whole=True)
        check_number("model.max_tokens", max_tokens, least=8, whole=True)
        check_number("model.seed", seed, least=0, whole=True)
        self.candidates, self.first_stage, self.development_candidates = candidates, first_stage, development_candidates
        self.trained_layers, self.max_tokens = trained_layers, max_tokens
        self.exclude_seen, self.seed = exclude_seen, seed

    def __call__(
        self, encoder: TextEncoder, texts: ItemTexts, profiles: Sequence[str], first_stage: nn.Module | None
    ) -> CrossEncoderRecommender:
        """Build the recommender; its head has fresh weights.

        Args:
            encoder: the language model.
            texts: the catalogue's texts.
            profiles: the users' profile texts, by the numbers that batches carry.
            first_stage: the loaded model of `first_stage`, or None.
        """
        scorer = PairScorer(encoder, self.trained_layers, self.max_tokens)
        return CrossEncoderRecommender(scorer, texts, profiles, self, first_stage)


class CrossEncoderRecommender(nn.Module):
    """Scores of pairs. In training: of each query's targets and negatives. Else: of its best candidates.

    Args:
        scorer: (profile texts, product texts) -> scores.
        texts: the catalogue's texts.
        profiles: profile texts by number.
        recipe: which items are read.
        first_stage: orders all items, or None for a random order. It is neither trained nor saved with the run.
    """

    text_of_item_N: Tensor

    def __init__(
        self,
        scorer: PairScorer,
        texts: ItemTexts,
        profiles: Sequence[str],
        recipe: CrossEncoder,
        first_stage: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.scorer, self._texts, self._profiles = scorer, texts.texts, list(profiles)
        self.register_buffer("text_of_item_N", texts.text_of_item_N, persistent=False)
        self.candidates, self.development_candidates = recipe.candidates, recipe.development_candidates
        self.exclude_seen, self.seed = recipe.exclude_seen, recipe.seed
        self._first_stage = () if first_stage is None else (first_stage.eval(),)  # in a tuple: no part of this module

    def forward(self, batch: Batch, request: Request | None = None) -> ModelOutput:
        """Scores of all items, or of those that a request names.

        In training, and wherever there is a request, each query's own targets and negatives are read; the others are
        -inf, so that neither the task nor a regularizer looks at them. Otherwise the first stage's best items are read;
        the others are finite, below all that were read, and in the first stage's order.

        Raises:
            ConfigError: the batch carries no profiles, or in training no negatives.
        """
        if batch.profiles_Q is None:
            raise ConfigError(
                "the batches carry no profiles",
                where="data.profiles",
                got=None,
                mend="Use model=cross_encoder as it is.",
            )
        if request is None:
            return ModelOutput(self._labelled(batch) if self.training else self._lists(batch))
        read_QN = self._labelled(batch)
        leading_BN = read_QN[: batch.users_B.shape[0]] if request.leading else read_QN.new_empty(0, 0)
        candidates_C = request.candidates_C
        return ModelOutput(leading_BN, candidate_scores_QC=None if candidates_C is None else read_QN[:, candidates_C])

    def _labelled(self, batch: Batch) -> Tensor:
        if batch.negatives_QC is None:
            raise ConfigError(
                "compares with all items, of which a cross encoder reads a few",
                where="task",
                mend="Choose task=bce, mse, bpr or sampled_cross_entropy, with negatives.",
            )
        size, negatives_QC = len(self.text_of_item_N), batch.negatives_QC
        queries_Q1 = torch.arange(len(negatives_QC), device=negatives_QC.device).unsqueeze(-1)
        targets_P = batch.target_queries_P * size + batch.target_items_P
        asked_X: Tensor = torch.unique(torch.cat([(queries_Q1 * size + negatives_QC).flatten(), targets_P]))
        return self._scattered(batch, torch.div(asked_X, size, rounding_mode="floor"), asked_X % size)

    def _lists(self, batch: Batch) -> Tensor:
        order_QN = self._order(batch)
        best_QC = order_QN.topk(min(self.candidates, order_QN.shape[1]), dim=-1)
        queries_X, places_X = torch.isfinite(best_QC.values).nonzero(as_tuple=True)
        read_QN = self._scattered(batch, queries_X, best_QC.indices[queries_X, places_X])
        return _behind(read_QN, order_QN)

    def _scattered(self, batch: Batch, queries_X: Tensor, items_X: Tensor) -> Tensor:
        """Scores (Q, N) of these pairs, -inf elsewhere."""
        assert batch.profiles_Q is not None
        profiles = [self._profiles[number] for number in batch.profiles_Q[queries_X].tolist()]
        products = [self._texts[number] for number in self.text_of_item_N[items_X].tolist()]
        scores_X = self.scorer(profiles, products)
        empty_QN = scores_X.new_full((len(batch.query_rows_Q), len(self.text_of_item_N)), -torch.inf)
        return empty_QN.index_put((queries_X, items_X), scores_X)

    @torch.no_grad()
    def _order(self, batch: Batch) -> Tensor:
        """What the first stage says (Q, N); -inf for items that must not be candidates."""
        device = batch.users_B.device
        if self._first_stage:
            order_QN = self._first_stage[0].to(device)(batch).scores_QN
        else:
            users_Q = batch.users_B[batch.query_rows_Q].tolist()
            chances = [np.random.default_rng([self.seed, user]).random(len(self.text_of_item_N)) for user in users_Q]
            order_QN = torch.from_numpy(np.stack(chances)).float().to(device)
        if not self.exclude_seen:
            return order_QN
        beyond_QN = nn.functional.pad(order_QN, (0, 1))
        return beyond_QN.scatter(1, batch.seen_QS, -torch.inf)[:, :-1]


def _behind(read_QN: Tensor, order_QN: Tensor) -> Tensor:
    """Scores with the items that were not read behind those that were, in the given order."""
    is_read_QN = torch.isfinite(read_QN)
    worst_Q1 = read_QN.masked_fill(~is_read_QN, torch.inf).amin(-1, keepdim=True)
    left_QN = order_QN.masked_fill(is_read_QN, -torch.inf)
    shifted_QN = left_QN - left_QN.amax(-1, keepdim=True) + torch.where(worst_Q1 == torch.inf, 0, worst_Q1) - 1
    return torch.where(is_read_QN, read_QN, torch.where(torch.isfinite(left_QN), shifted_QN, -torch.inf))
