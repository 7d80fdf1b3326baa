"""Users as a language model reads them: the frozen vector of a profile text, alone or beside attention.

Shapes: P profile texts, W whitened width, Q queries, D dimension, N items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from divrec.batch import Batch
from divrec.errors import ConfigError, check_number


class ProfileUser(nn.Module):
    """A projection of the vector that the untrained language model gives of the user's profile text.

    The vectors are computed once, cached by content and whitened as the catalogue's texts are, so that users and items
    begin in one space. They stay as they are whatever the tuning: a text that is read anew at each step is what
    `CrossEncoder` is for.

    Args:
        dim: width of item and user vectors D.
        profiles_PW: the whitened vectors; the first is that of users without a profile.
        hidden: width of the projection's hidden layer.
        dropout: on the projected vector.
        output_gain: length at which user vectors start, in units of sqrt(D); small lets taste grow from the popularity
            score.
        event_kinds: not used; a profile text has no kinds.

    Raises:
        ConfigError: the data has no profiles.
    """

    profiles_PW: Tensor

    def __init__(
        self,
        dim: int,
        profiles_PW: Tensor | None = None,
        hidden: int = 128,
        dropout: float = 0.2,
        output_gain: float = 0.1,
        event_kinds: int = 1,
    ) -> None:
        super().__init__()
        check_number("user.output_gain", output_gain, above=0)
        if profiles_PW is None:
            raise ConfigError("needs profile texts", where="data.profiles", got=None, mend="Use user=profile as it is.")
        self.register_buffer("profiles_PW", profiles_PW, persistent=False)
        self.project = nn.Sequential(nn.Linear(profiles_PW.shape[1], hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)
        nn.init.constant_(self.norm.weight, output_gain)

    def forward(self, items_ND: Tensor, batch: Batch) -> Tensor:
        """User vectors (Q, D)."""
        if batch.profiles_Q is None:
            raise ConfigError("the batches carry no profiles", where="data.profiles", got=None)
        return self.dropout(self.norm(self.project(self.profiles_PW[batch.profiles_Q])))


class AttentionProfileUser(nn.Module):
    """Attention over the history and the profile text together.

    Args:
        dim: width of item and user vectors D.
        attention: `dim`, `event_kinds` -> encoder of the history.
        profile: `dim`, `profiles_PW` -> encoder of the profile text.
        combine: `sum` adds the two vectors; `gate` takes, by dimension, a share g of the history's and 1 - g of
            the profile's, with g read from both, so that short histories can lean on the text.
        profiles_PW: as in `ProfileUser`.
        event_kinds: number of event kinds.
    """

    def __init__(
        self,
        dim: int,
        attention: Callable[..., nn.Module],
        profile: Callable[..., nn.Module],
        combine: Literal["sum", "gate"] = "sum",
        profiles_PW: Tensor | None = None,
        event_kinds: int = 1,
    ) -> None:
        super().__init__()
        if combine not in ("sum", "gate"):
            raise ConfigError("no such way", where="user.combine", got=combine, mend="Use sum or gate.")
        self.attention = attention(dim=dim, event_kinds=event_kinds)
        self.profile = profile(dim=dim, profiles_PW=profiles_PW)
        self.gate = nn.Linear(2 * dim, dim) if combine == "gate" else None

    def forward(self, items_ND: Tensor, batch: Batch) -> Tensor:
        """User vectors (Q, D)."""
        history_QD, profile_QD = self.attention(items_ND, batch), self.profile(items_ND, batch)
        if self.gate is None:
            return history_QD + profile_QD
        share_QD = torch.sigmoid(self.gate(torch.cat([history_QD, profile_QD], dim=-1)))
        return share_QD * history_QD + (1 - share_QD) * profile_QD
