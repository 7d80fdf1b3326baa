"""What a composed config becomes: dials of the root that reach the loss."""

from __future__ import annotations

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn

from divrec.batch import ModelOutput
from divrec.run.assembly import objective
from divrec.run.door import CONF


class Scores(nn.Module):
    """A free score for each query and item."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(8, size))

    def forward(self, batch, request=None) -> ModelOutput:
        return ModelOutput(self.scores[batch.query_rows_Q])


@pytest.mark.parametrize(
    ("overrides", "compared"),
    [
        ((), False),
        (("exclude_seen=false",), True),
        (("compare_seen=true",), True),
        (("+experiment=beauty_gated",), True),
    ],
)
def test_what_a_user_has_touched_is_compared_with_where_the_config_says_so(
    overrides, compared, catalogue, make_batch
) -> None:
    with initialize_config_dir(CONF, version_base="1.3"):
        config = compose("train", overrides=list(overrides))
    batch, model = make_batch(), Scores(catalogue.size)
    terms = objective(config, catalogue).step(model, batch)
    (gradient_BN,) = torch.autograd.grad(terms["total"], model.scores)
    assert (gradient_BN.gather(1, batch.seen_QS) > 0).float().mean() == float(compared)
