"""Tickets: what a browser shows where it cannot set a header. One use, thirty seconds, no token in an address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.identity import Audience
from bot.store.driver import Collection

TICKET_LIVES = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whose token it was: `subject` is a conversation's id for guests, a therapist's for therapists.

    `version` is the token's: once all tokens of that version were ended, its bearer is nobody any more.
    """

    audience: Audience
    subject: str
    version: int = 0


class Tickets:
    """The collection `tickets`; a TTL index removes what nobody used."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def issue(self, ticket_hash: str, bearer: Bearer, now: datetime) -> datetime:
        """Remember a ticket by its hash, and say when it ends."""
        expires_at = now + TICKET_LIVES
        await self._collection.insert_one(
            {
                "_id": ticket_hash,
                "audience": bearer.audience,
                "subject": bearer.subject,
                "version": bearer.version,
                "expires_at": expires_at,
            }
        )
        return expires_at

    async def use(self, ticket_hash: str, now: datetime) -> Bearer | None:
        """Whose ticket it is; it opens nothing a second time."""
        document = await self._collection.find_one_and_delete({"_id": {"$eq": ticket_hash}})
        if document is None or document["expires_at"] <= now:
            return None
        return Bearer(document["audience"], document["subject"], document.get("version", 0))
