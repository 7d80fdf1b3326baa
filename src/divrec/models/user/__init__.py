"""User encoders: from the item vectors of a history to a user vector at each queried moment."""

from divrec.models.user.attention import AttentionUser
from divrec.models.user.mean import MeanUser
from divrec.models.user.profile import AttentionProfileUser, ProfileUser
from divrec.models.user.time_gaps import TimeGaps, gap_buckets

__all__ = ["AttentionProfileUser", "AttentionUser", "MeanUser", "ProfileUser", "TimeGaps", "gap_buckets"]
