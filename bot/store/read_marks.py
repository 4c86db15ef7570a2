"""How far the two sides of a conversation have read, and what they have not: asked of the entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.store.driver import Collection, Document, aggregate
from bot.store.together import Together
from bot.views import Audience

# A feed, a sender, and the entry after which their messages are meant.
_Stretch = tuple[str, Audience, int]


class ReadMarks:
    """The receipts and messages in the collection `entries`."""

    def __init__(self, entries: Collection) -> None:
        self._entries = entries
        # A crowd that comes back asks together.
        self._lasts = Together(self._read_lasts)
        self._counts = Together(self._count)

    async def last(self, feed: str, by: Audience) -> int:
        """The number up to which they have read, 0 for nothing."""
        query = {"feed": {"$eq": feed}, "type": "read", "data.by": by}
        async for receipt in self._entries.find(query, {"data.seq": 1}).sort("data.seq", -1).limit(1):
            seq: int = receipt["data"]["seq"]
            return seq
        return 0

    async def lasts(self, feed: str) -> Mapping[Audience, int]:
        """`last` of both sides."""
        read = await self._lasts.one(feed) or {}
        return {"guest": read.get("guest", 0), "therapist": read.get("therapist", 0)}

    async def _read_lasts(self, feeds: Sequence[str]) -> dict[str, dict[Audience, int]]:
        pipeline: list[Document] = [
            {"$match": {"feed": {"$in": list(feeds)}, "type": "read"}},
            {"$group": {"_id": {"feed": "$feed", "by": "$data.by"}, "seq": {"$max": "$data.seq"}}},
        ]
        read: dict[str, dict[Audience, int]] = {}
        for each in await aggregate(self._entries, pipeline):
            read.setdefault(each["_id"]["feed"], {})[each["_id"]["by"]] = each["seq"]
        return read

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
        return await self._counts.one((feed, sender, after)) or 0

    async def _count(self, stretches: Sequence[_Stretch]) -> dict[_Stretch, int]:
        """How many messages each has: one query each within one, since all begin somewhere else."""
        each_from: list[Document] = [
            {"feed": feed, "seq": {"$gt": after}, "type": "message", "data.from": sender}
            for feed, sender, after in stretches
        ]
        pipeline: list[Document] = [
            {"$match": {"$or": each_from}},
            {"$group": {"_id": {"feed": "$feed", "from": "$data.from"}, "seqs": {"$push": "$seq"}}},
        ]
        found = await aggregate(self._entries, pipeline)
        seqs = {(each["_id"]["feed"], each["_id"]["from"]): each["seqs"] for each in found}
        return {
            (feed, sender, after): sum(seq > after for seq in seqs.get((feed, sender), ()))
            for feed, sender, after in stretches
        }
