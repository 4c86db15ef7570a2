"""What a person is told about an error: their own mistakes as they are, ours and our servers' as an outage."""

from __future__ import annotations

from bot.errors import Refusal
from conversations.replies import REFUSALS

# How long somebody is told to wait when a dependency is away.
RETRY_AFTER_S = 2.0


def situation_of(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    return Refusal("unavailable", REFUSALS["unavailable"], retry_after_s=RETRY_AFTER_S)
