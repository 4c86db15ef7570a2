"""Feed entries: one document each, gap-free by number within their feed, and once by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.store.driver import Collection, Document, DuplicateInBatch, aggregate, insert_in_order

ASCENDING = 1


@dataclass(slots=True, eq=False)
class Entry:
    """One entry, shared by everybody in this process who reads it; `frames` keeps what it was encoded to."""

    id: str
    feed: str
    seq: int
    at: datetime
    type: str
    data: Mapping[str, Any]
    digest: str | None = None
    frames: dict[Any, bytes] = field(default_factory=dict, repr=False)

    def as_document(self) -> Document:
        document: Document = {
            "_id": self.id,
            "feed": self.feed,
            "seq": self.seq,
            "at": self.at,
            "type": self.type,
            "data": self.data,
        }
        if self.digest is not None:
            document["digest"] = self.digest
        return document


def entry_of(document: Mapping[str, Any]) -> Entry:
    return Entry(
        id=document["_id"],
        feed=document["feed"],
        seq=document["seq"],
        at=document["at"],
        type=document["type"],
        data=document["data"],
        digest=document.get("digest"),
    )


@dataclass(frozen=True, slots=True)
class Written:
    """How far an ordered batch came: `count` entries are durable, and the next one, if any, met a duplicate key."""

    count: int
    met_duplicate: bool


class Entries:
    """The collection `entries`."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def write(self, entries: Sequence[Entry]) -> Written:
        """Write them in this order and stop at the first duplicate: what is behind it has not been written."""
        try:
            await insert_in_order(self._collection, [entry.as_document() for entry in entries])
        except DuplicateInBatch as stopped:
            return Written(stopped.written, met_duplicate=True)
        return Written(len(entries), met_duplicate=False)

    async def known(self, entry_id: str) -> Entry | None:
        """The entry that stands already under this id."""
        document = await self._collection.find_one({"_id": {"$eq": entry_id}})
        return entry_of(document) if document else None

    async def standing(self, ids: Sequence[str]) -> list[Entry]:
        """Those of these entries that stand already."""
        return [entry_of(document) async for document in self._collection.find({"_id": {"$in": list(ids)}})]

    async def since(self, feed: str, cursor: int, limit: int) -> list[Entry]:
        """At most `limit` entries after the cursor, without a gap."""
        found = self._collection.find({"feed": {"$eq": feed}, "seq": {"$gt": cursor}}).sort("seq", 1).limit(limit)
        run: list[Entry] = []
        async for document in found:
            if document["seq"] != cursor + len(run) + 1:
                break
            run.append(entry_of(document))
        return run

    async def heads(self, feeds: Sequence[str]) -> dict[str, int]:
        """The highest number of each feed that has any; one index key is read per feed."""
        found = await aggregate(
            self._collection,
            [
                {"$match": {"feed": {"$in": list(feeds)}}},
                {"$sort": {"feed": -1, "seq": -1}},
                {"$group": {"_id": "$feed", "head": {"$first": "$seq"}}},
            ],
        )
        return {document["_id"]: document["head"] for document in found}
