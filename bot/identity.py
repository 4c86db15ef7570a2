"""Who somebody is called: on which side they stand, the key of a person, the names of feeds, and fresh ids."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any, Literal, TypeVar

Audience = Literal["guest", "therapist"]
"""The two sides of a conversation: whoever comes in, reads or is told something stands on one of them."""


T = TypeVar("T")


def for_audience(audience: Audience, *, guest: T, therapist: T) -> T:
    """What holds for this side. A side that is not named here is an error, and never somebody else's."""
    return {"guest": guest, "therapist": therapist}[audience]


def other_side(audience: Audience) -> Audience:
    """Whom somebody in a visit meets there."""
    met: Audience = for_audience(audience, guest="therapist", therapist="guest")
    return met


def key_of(audience: Audience, subject: str) -> str:
    """A person, as tokens, devices and preferences know them."""
    return f"{audience}:{subject}"


def new_id(prefix: str) -> str:
    """`<prefix>_` and 128 random bits."""
    return f"{prefix}_{secrets.token_hex(16)}"


def digest_of(*parts: Any) -> str:
    """A short digest that tells whether a repeated command says the same as the first time."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=12).hexdigest()


# --- feeds: each belongs to a conversation or to a therapist ----------------------------------------------------------


def conversation_feed(conversation_id: str) -> str:
    return f"conversation:{conversation_id}"


def therapist_feed(therapist_id: str) -> str:
    return f"therapist:{therapist_id}"


def conversation_of(feed: str) -> str:
    """The conversation whose feed this is."""
    return feed.removeprefix("conversation:")


def own_feed(audience: Audience, subject: str) -> str:
    """What somebody's own pages read."""
    return for_audience(audience, guest=conversation_feed, therapist=therapist_feed)(subject)
