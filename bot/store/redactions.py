"""Takes what was personal out of the entries that one conversation has led to, wherever they stand; none goes away.

What stays is what happened, when and for how much, and nobody's words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from bot.store.driver import Collection, Document

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
    "offer_waiting": ("offer_id", "until"),
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

PAGE = 200


class Redactions:
    """Rewrites documents of the collection `entries`, the only one to do so."""

    def __init__(self, entries: Collection) -> None:
        self._entries = entries

    async def redact(self, feed: str, causes: Iterable[str]) -> set[str]:
        """Everything on this feed, and what the records `causes` have put on others; gives all feeds on which that is.

        The id of an entry begins with the record whose effect it is, so nothing has to be looked for by its content.
        """
        feeds = await self._redact_all({"feed": {"$eq": feed}}, "seq")
        for cause in causes:
            feeds |= await self._redact_all({"_id": {"$gt": f"{cause}:", "$lt": f"{cause};"}}, "_id")
        return feeds

    async def _redact_all(self, query: Document, order: str) -> set[str]:
        feeds: set[str] = set()
        page = await self._page(query, order)
        while page:
            feeds |= {entry["feed"] for entry in page}
            await asyncio.gather(*(self._redact(entry) for entry in page if not entry["data"].get("redacted")))
            page = await self._page({"$and": [query, {order: {"$gt": page[-1][order]}}]}, order)
        return feeds

    async def _page(self, query: Document, order: str) -> list[Document]:
        return [entry async for entry in self._entries.find(query).sort(order, 1).limit(PAGE)]

    async def _redact(self, entry: Document) -> None:
        changes = {"$set": {"data": redacted(entry["type"], entry["data"])}}
        await self._entries.update_one({"_id": entry["_id"]}, changes)


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
