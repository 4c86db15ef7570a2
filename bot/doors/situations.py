"""What a person is told about an error: their own mistakes as they are, ours and our servers' as an outage."""

from __future__ import annotations

from bot.errors import Outage, Refusal
from bot.store.driver import PyMongoError, is_away
from conversations.replies import REFUSALS

# How long somebody is told to wait when a dependency is away.
RETRY_AFTER_S = 2.0


def is_outage(error: Exception) -> bool:
    """Whether a dependency is to blame; any other error is a fault of ours and belongs in the log."""
    if isinstance(error, PyMongoError):
        return is_away(error)
    return isinstance(error, Outage | OSError)  # which a TimeoutError is, too


def situation_of(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    return Refusal("unavailable", REFUSALS["unavailable"], retry_after_s=RETRY_AFTER_S)
