"""What feeds are called: each belongs to a conversation or to a therapist."""

from __future__ import annotations

from bot.access.tokens import Audience


def conversation_feed(conversation_id: str) -> str:
    return f"conversation:{conversation_id}"


def therapist_feed(therapist_id: str) -> str:
    return f"therapist:{therapist_id}"


def conversation_of(feed: str) -> str:
    """The conversation whose feed this is."""
    return feed.removeprefix("conversation:")


def own_feed(audience: Audience, subject: str) -> str:
    """What somebody's own pages read."""
    return conversation_feed(subject) if audience == "guest" else therapist_feed(subject)
