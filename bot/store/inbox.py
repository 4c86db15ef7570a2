"""What other systems have told us by webhooks: kept under their ids before they are answered, then worked off."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.store.driver import Collection, Document, DuplicateKeyError

# Whoever sends an event again does it within days; what it said is needed no longer than until it is done.
KEPT = timedelta(days=30)
# Longer than anybody works on one event: who has died leaves it to the next.
LEASE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """One event of a sender; `attempts` counts the one that is under way."""

    id: str
    sender: str
    kind: str
    body: dict[str, Any]
    attempts: int
    received_at: datetime


class Inbox:
    """The collection `inbox`: one document for each event of each sender."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def keep(self, sender: str, event_id: str, kind: str, body: dict[str, Any], now: datetime) -> str | None:
        """The id under which it is kept; None where it has come before."""
        document: Document = {
            "_id": f"{sender}:{event_id}",
            "sender": sender,
            "kind": kind,
            "body": body,
            "status": "pending",
            "attempts": 0,
            "received_at": now,
            "next_at": now,
        }
        try:
            await self._collection.insert_one(document)
        except DuplicateKeyError:
            return None
        return str(document["_id"])

    async def claim(self, inbox_id: str, now: datetime) -> InboxEvent | None:
        """Take an event that is due to work on it; None where somebody else has it, or it is not due any more."""
        document = await self._collection.find_one_and_update(
            {"_id": {"$eq": inbox_id}, "status": "pending", "next_at": {"$lte": now}},
            {"$set": {"next_at": now + LEASE}, "$inc": {"attempts": 1}},
            return_document=True,
        )
        return _read(document) if document else None

    async def due(self, now: datetime, limit: int = 100) -> list[str]:
        query = {"status": "pending", "next_at": {"$lte": now}}
        cursor = self._collection.find(query, {"_id": 1}).sort("next_at", 1).limit(limit)
        return [document["_id"] async for document in cursor]

    async def done(self, inbox_id: str, now: datetime) -> None:
        """It need never be looked at again: what it said goes, and that it came is kept."""
        await self._end(inbox_id, {"status": "done", "done_at": now, "remove_at": now + KEPT}, {"body": ""})

    async def postpone(self, inbox_id: str, until: datetime, why: str) -> None:
        query = {"_id": inbox_id, "status": "pending"}
        await self._collection.update_one(query, {"$set": {"next_at": until, "why": why}})

    async def bury(self, inbox_id: str, now: datetime, why: str) -> None:
        """It will never make sense; it stays for a while for somebody who looks."""
        await self._end(inbox_id, {"status": "dead", "why": why, "remove_at": now + KEPT}, {})

    async def _end(self, inbox_id: str, fields: Document, without: Document) -> None:
        changes: Document = {"$set": fields, "$unset": {"next_at": "", **without}}
        await self._collection.update_one({"_id": inbox_id, "status": "pending"}, changes)

    async def counts(self) -> dict[str, int]:
        """How many wait and how many are dead."""
        return {status: await self._collection.count_documents({"status": status}) for status in ("pending", "dead")}


def _read(document: Document) -> InboxEvent:
    return InboxEvent(
        document["_id"],
        document["sender"],
        document["kind"],
        document["body"],
        document["attempts"],
        document["received_at"],
    )
