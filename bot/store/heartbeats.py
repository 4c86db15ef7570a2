"""Signs of life that stand in the database: who writes one has shown that writes are taken, and others see it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from bot.store.driver import Collection

# What writes: a web process, whoever hands out what is due, and the jobs that workers do.
Heart = Literal["web", "dispatch", "jobs"]

KEPT = timedelta(hours=1)


class Heartbeats:
    """The collection `heartbeats`, one document for each heart; those that have stopped long ago are removed."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def beat(self, heart: Heart, now: datetime, which: str = "") -> None:
        """Durable by a majority when it returns; raises what the database raises, a full disk as much as a lost one."""
        name = f"{heart}:{which}" if which else heart
        fields = {"at": now, "remove_at": now + KEPT}
        await self._collection.update_one({"_id": name}, {"$set": fields}, upsert=True)

    async def last(self, heart: Heart) -> datetime | None:
        """When it beat last, None where it never has or has stopped long ago."""
        found = await self._collection.find_one({"_id": heart}, {"at": 1})
        return found["at"] if found else None
