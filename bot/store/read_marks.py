"""How far the two sides of a conversation have read, and what they have not: asked of the entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.identity import Audience
from bot.store.driver import Collection, Document, aggregate


class ReadMarks:
    """The receipts and messages in the collection `entries`."""

    def __init__(self, entries: Collection) -> None:
        self._entries = entries

    async def last(self, feed: str, by: Audience) -> int:
        """The number up to which they have read, 0 for nothing."""
        query = {"feed": {"$eq": feed}, "type": "read", "data.by": by}
        async for receipt in self._entries.find(query, {"data.seq": 1}).sort("data.seq", -1).limit(1):
            seq: int = receipt["data"]["seq"]
            return seq
        return 0

    async def last_messages(
        self, feeds: Sequence[str], since: datetime, until: datetime
    ) -> dict[tuple[str, Audience], int]:
        """Of each feed and sender the newest message that was said between two moments."""
        pipeline: list[Document] = [
            {"$match": {"feed": {"$in": list(feeds)}, "type": "message", "at": {"$gt": since, "$lte": until}}},
            {"$group": {"_id": {"feed": "$feed", "from": "$data.from"}, "seq": {"$max": "$seq"}}},
        ]
        found = await aggregate(self._entries, pipeline)
        return {(each["_id"]["feed"], each["_id"]["from"]): each["seq"] for each in found}

    async def has_message(self, feed: str, sender: Audience, *, after: int, up_to: int) -> bool:
        """Whether this side wrote something between the two."""
        query = {"feed": {"$eq": feed}, "seq": {"$gt": after, "$lte": up_to}, "type": "message", "data.from": sender}
        return await self._entries.find_one(query, {"_id": 1}) is not None

    async def count_messages(self, feed: str, sender: Audience, *, after: int) -> int:
        query = {"feed": {"$eq": feed}, "seq": {"$gt": after}, "type": "message", "data.from": sender}
        count: int = await self._entries.count_documents(query)
        return count
