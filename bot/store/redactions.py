"""Takes what was personal out of the entries that one conversation has led to, wherever they stand; none goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from bot.redaction import redacted
from bot.store.driver import Collection, Document

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
