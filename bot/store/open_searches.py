"""How many searches and visits one phone number, or one network, may have at once: places that are taken by one each.

A place is a document whose id is its owner's key and its number, so that no more can be taken than there are, whoever
asks at the same moment and whether or not Redis is there. Nobody gives one back: it is free again once the conversation
that has it neither searches nor has a visit.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.store.driver import Collection, Document, DuplicateKeyError
from bot.store.records import Records, Unreadable
from conversations.conversation import Conversation, State

OPEN = (State.SEARCHING, State.CHOOSING, State.ACTIVE)
# Between taking the place and the turn that begins the search.
BEGINS_WITHIN = timedelta(seconds=15)
KEPT = timedelta(days=2)


class OpenSearches:
    """The collection `open_searches`."""

    def __init__(self, collection: Collection, conversations: Records[Conversation]) -> None:
        self._collection = collection
        self._conversations = conversations

    async def take(self, key: str, most: int, conversation_id: str, now: datetime) -> bool:
        """Whether this conversation has one of the places of the key now, or had it already."""
        names = [f"{key}#{number}" for number in range(most)]
        held = {each["_id"]: each async for each in self._collection.find({"_id": {"$in": names}})}
        if any(each["conversation_id"] == conversation_id for each in held.values()):
            return True
        for name in [*(name for name in names if name not in held), *await self._free(list(held.values()), now)]:
            if await self._take(name, held.get(name), conversation_id, now):
                return True
        return False

    async def _free(self, held: Sequence[Document], now: datetime) -> list[str]:
        """The places whose conversations have come to an end."""
        ids = [each["conversation_id"] for each in held]
        known = await self._conversations.load_several(ids)
        # Of one that cannot be read nobody knows that it has ended; it keeps its place, and nobody else from asking.
        still_open = {
            each for each, found in known.items() if isinstance(found, Unreadable) or found.record.state in OPEN
        }
        return [
            each["_id"]
            for each in held
            if each["conversation_id"] not in still_open and each["taken_at"] < now - BEGINS_WITHIN
        ]

    async def _take(self, name: str, before: Document | None, conversation_id: str, now: datetime) -> bool:
        fields: Document = {"conversation_id": conversation_id, "taken_at": now, "remove_at": now + KEPT}
        if before is None:
            try:
                await self._collection.insert_one({"_id": name, **fields})
            except DuplicateKeyError:
                return False
            return True
        unchanged = {"_id": name, "conversation_id": before["conversation_id"], "taken_at": before["taken_at"]}
        changed = await self._collection.update_one(unchanged, {"$set": fields})
        return bool(changed.modified_count)
