"""What stays of a feed entry when its guest is erased: what happened, when and for how much, and nobody's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Raw = Mapping[str, Any]

# By type of entry the fields that stay; what is not named here, or is of no known type, goes.
KEPT: Mapping[str, tuple[str, ...]] = {
    "message": ("from",),
    "system": ("key",),
    "card": (
        *("card", "revision", "buttons", "service", "therapist", "durations", "expires_at"),
        *("offer_id", "arrival", "stars", "code", "message"),
    ),
    "state": ("state", "revision", "header", "booking_id", "therapist_id", "countdown", "buttons"),
    "notification": ("kind", "side", "sound", "urgency"),
    "offer": ("offer_id", "respond_by", "earnings", "attempt"),
    "offer_closed": ("offer_id", "why"),
    "booking": (),
    "read": ("by", "seq"),
}
KEPT_OF_PARAMS = (
    *("therapist", "attempt", "max_attempts", "minutes"),
    *("service", "reference", "amount", "settlement", "refund", "kept", "duration"),
    *("starts_at", "said_at"),
)
KEPT_OF_BOOKING = (
    *("id", "status", "conversation_id", "service", "duration", "price", "therapist", "progress"),
    *("created_at", "starts_at", "arrives_by", "earnings", "commission"),
)


def redacted(kind: str, data: Raw) -> dict[str, Any]:
    """The data of an entry of this type without anything personal, marked as such; doing it twice is doing it once."""
    kept = _only(data, KEPT.get(kind, ()))
    if isinstance(data.get("params"), Mapping):
        # A parameter that is missing would be reported as a mistake of the program's.
        kept["params"] = {name: value if name in KEPT_OF_PARAMS else None for name, value in data["params"].items()}
    if isinstance(data.get("booking"), Mapping):
        kept["booking"] = _only(data["booking"], KEPT_OF_BOOKING)
    return {**kept, "redacted": True}


def _only(data: Raw, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: data[name] for name in names if name in data}
