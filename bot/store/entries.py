"""Feed entries: one document each, gap-free by number within their feed, and once by id."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from bot.store.driver import Collection, Document, DuplicateInBatch, aggregate, encode_document, insert_in_order

ASCENDING = 1
BY_NUMBER = [("feed", ASCENDING), ("seq", ASCENDING)]


@dataclass(slots=True, eq=False)
class Entry:
    """One entry, shared by everybody in this process who reads it; `frames` keeps what it was encoded to."""

    id: str
    feed: str
    seq: int
    at: datetime
    type: str
    data: Mapping[str, Any]
    frames: dict[Hashable, bytes] = field(default_factory=dict, repr=False)

    def as_document(self) -> Document:
        return {
            "_id": self.id,
            "feed": self.feed,
            "seq": self.seq,
            "at": self.at,
            "type": self.type,
            "data": self.data,
        }


def entry_of(document: Mapping[str, Any]) -> Entry:
    return Entry(
        id=document["_id"],
        feed=document["feed"],
        seq=document["seq"],
        at=document["at"],
        type=document["type"],
        data=document["data"],
    )


class Span(NamedTuple):
    """A part of a feed: what comes after `cursor`, up to `last` included."""

    feed: str
    cursor: int
    last: int


@dataclass(frozen=True, slots=True)
class Written:
    """How far an ordered batch came: `count` entries are durable, and the next one, if any, met a duplicate key.

    `documents` are those that are durable, as they stand in the database.
    """

    documents: Sequence[bytes]
    met_duplicate: bool

    @property
    def count(self) -> int:
        return len(self.documents)


def _in_order(entries: Mapping[int, Entry], numbers: range) -> Iterable[Entry]:
    return (entries[number] for number in sorted(entries) if number in numbers)


def _without_a_gap(cursor: int, entries: Iterable[Entry]) -> list[Entry]:
    """As many of them as follow on the cursor one by one."""
    run: list[Entry] = []
    for entry in entries:
        if entry.seq != cursor + len(run) + 1:
            break
        run.append(entry)
    return run


class Entries:
    """The collection `entries`."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def write(self, entries: Sequence[Entry]) -> Written:
        """Write them in this order and stop at the first duplicate: what is behind it has not been written."""
        documents = [encode_document(entry.as_document()) for entry in entries]
        try:
            await insert_in_order(self._collection, documents)
        except DuplicateInBatch as stopped:
            return Written(documents[: stopped.written], met_duplicate=True)
        return Written(documents, met_duplicate=False)

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
        return _without_a_gap(cursor, [entry_of(document) async for document in found])

    async def in_spans(self, spans: Sequence[Span]) -> dict[Span, list[Entry]]:
        """Of each span what follows on its cursor without a gap, all of them read in one go."""
        parts = [{"feed": feed, "seq": {"$gt": cursor, "$lte": last}} for feed, cursor, last in spans]
        by_feed: dict[str, dict[int, Entry]] = {feed: {} for feed, _, _ in spans}
        async for document in self._collection.find({"$or": parts}).hint(BY_NUMBER):
            by_feed[document["feed"]][document["seq"]] = entry_of(document)
        return {
            span: _without_a_gap(span.cursor, _in_order(by_feed[span.feed], range(span.cursor + 1, span.last + 1)))
            for span in spans
        }

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
