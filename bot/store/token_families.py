"""What tokens cannot say of themselves: which of somebody's were replaced, and whether all of them were ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.store.driver import Collection, Document, update_or_insert
from bot.store.together import Together

# The newest first uses that are kept: enough for any race of tabs and reloads within the grace.
USES_KEPT = 16


@dataclass(frozen=True, slots=True)
class Use:
    """When a generation was used for the first time: from then on the ones before it are replaced."""

    generation: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Family:
    """All tokens of one person; `version` is the lowest that a token may have, `uses` are oldest first."""

    version: int = 0
    generation: int = 0
    uses: tuple[Use, ...] = ()

    def replaced_at(self, generation: int) -> datetime | None:
        """When a newer token was used than one of this generation; None for the newest, and for one still unused."""
        return next((use.at for use in self.uses if use.generation > generation), None)

    def remembers(self, generation: int) -> bool:
        """Whether it is known when this generation was replaced; very old ones are forgotten."""
        return generation >= self.generation or self.uses[0].generation <= generation + 1


@dataclass(frozen=True, slots=True)
class News:
    """What other processes must hear of a person: the lowest version of their tokens, and the feeds that changed."""

    key: str
    version: int
    feeds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _FirstUse:
    key: str
    generation: int
    at: datetime
    remove_at: datetime
    is_first: bool

    def is_newer(self) -> Document:
        return {"_id": self.key, "generation": {"$not": {"$gte": self.generation}}}

    def changes(self) -> Document:
        first_use: Document = {"generation": self.generation, "at": self.at}
        return {
            "$set": {"generation": self.generation},
            "$max": {"remove_at": self.remove_at},
            "$push": {"uses": {"$each": [first_use], "$slice": -USES_KEPT}},
            "$setOnInsert": {"version": 0},
        }


class TokenFamilies:
    """The collection `token_families`, by `<audience>:<id>`; who was never renewed or ended has no document.

    A TTL index removes documents once every token that they speak of has expired by itself.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        # A crowd that comes back asks, and is written down, together.
        self._asked = Together(self._read)
        self._used = Together(self._note)

    async def get(self, key: str) -> Family:
        return await self._asked.one(key) or Family()

    async def _read(self, keys: Sequence[str]) -> dict[str, Family]:
        found = self._collection.find({"_id": {"$in": list(keys)}})
        return {document["_id"]: _family(document) async for document in found}

    async def used(
        self, key: str, generation: int, now: datetime, lives: timedelta, *, is_first: bool = False
    ) -> Family:
        """A token of a newer generation was shown for the first time; somebody who was faster counts as well.

        `is_first`: nothing was known of this family, see `get`.
        """
        use = _FirstUse(key, generation, now, now + lives, is_first)
        return await self._used.one(use) or Family()

    async def _note(self, uses: Sequence[_FirstUse]) -> dict[_FirstUse, Family]:
        await update_or_insert(self._collection, [(use.is_newer(), use.changes(), use.is_first) for use in uses])
        families = await self._read([use.key for use in uses])
        return {use: families[use.key] for use in uses if use.key in families}

    async def end(self, key: str, now: datetime, lives: timedelta) -> int:
        """No token signed so far opens anything any more; gives the version that tokens have from now on."""
        changes: Document = {
            "$inc": {"version": 1},
            "$set": {"news_at": now},
            "$max": {"remove_at": now + lives},
            "$setOnInsert": {"generation": 0},
        }
        document = await self._collection.find_one_and_update({"_id": key}, changes, upsert=True, return_document=True)
        assert document is not None, "what is not there is inserted"
        version: int = document["version"]
        return version

    async def tell(self, key: str, feeds: Sequence[str], now: datetime) -> None:
        """Let every process know, sooner or later, that these feeds are not what they were."""
        await self._collection.update_one({"_id": key}, {"$set": {"news_at": now, "feeds": list(feeds)}})

    async def news_since(self, moment: datetime) -> list[News]:
        found = self._collection.find({"news_at": {"$gte": moment}})
        return [News(each["_id"], each["version"], tuple(each.get("feeds", ()))) async for each in found]


def _family(document: Document) -> Family:
    uses = tuple(Use(each["generation"], each["at"]) for each in document.get("uses", ()))
    return Family(document["version"], document["generation"], uses)
