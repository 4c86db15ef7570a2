"""Circuit breakers of the channels: a provider that fails every time is left alone for a while, by all processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.store.codec import from_document
from bot.store.driver import Collection, Document
from bot.store.together import Together

# So many failures in a row, none of them about one message or one address, are the provider's.
FAILURES_IN_A_ROW = 5
FIRST_REST = timedelta(minutes=1)
LONGEST_REST = timedelta(minutes=30)
PROBE_WITHIN = timedelta(seconds=60)
# The codes that therapists sign in with are counted under this name; they are not left alone, for each was asked for.
SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True)
class Breaker:
    """One channel: closed while `open_until` is None. `code` is the last failure's."""

    id: str
    failures: int = 0
    open_until: datetime | None = None
    open_since: datetime | None = None
    rests: int = 0
    code: str | None = None
    is_misconfigured: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """Whether a channel may be used: `again_at` is None, or when to look again; `has_failed` makes a success news."""

    again_at: datetime | None = None
    has_failed: bool = False


class Breakers:
    """The collection `breakers`, one document per channel that has failed since it last worked."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._together = Together(self._read)

    async def all(self) -> Mapping[str, Breaker]:
        return {document["_id"]: _read(document) async for document in self._collection.find({})}

    async def may_ask(self, channel: str, now: datetime) -> Leave:
        """When its rest is over, one asker goes first, and the others wait for what becomes of that."""
        document = await self._together.one(channel)
        if document is None:
            return Leave()
        rests_until: datetime | None = document.get("open_until")
        if rests_until is None:
            return Leave(has_failed=True)
        if rests_until > now:
            return Leave(rests_until, has_failed=True)
        probed = await self._collection.update_one(
            {"_id": channel, "open_until": rests_until}, {"$set": {"open_until": now + PROBE_WITHIN}}
        )
        return Leave(None if probed.modified_count else now + PROBE_WITHIN, has_failed=True)

    async def _read(self, channels: Sequence[str]) -> dict[str, Document]:
        return {each["_id"]: each async for each in self._collection.find({"_id": {"$in": list(channels)}})}

    async def succeeded(self, channel: str) -> None:
        """Forget its failures; of a channel that had none when leave was asked, nobody needs to be told."""
        await self._collection.delete_one({"_id": channel})

    async def failed(self, channel: str, code: str, now: datetime, *, is_misconfigured: bool = False) -> Breaker:
        """Count a failure; what is wrong with the configuration opens it at once, other failures when they repeat."""
        document = await self._collection.find_one_and_update(
            {"_id": channel},
            {"$inc": {"failures": 1}, "$set": {"code": code, "is_misconfigured": is_misconfigured}},
            upsert=True,
            return_document=True,
        )
        assert document is not None, "what is not there is inserted"
        breaker = _read(document)
        if not is_misconfigured and breaker.failures < FAILURES_IN_A_ROW:
            return breaker
        if breaker.open_until is not None and breaker.open_until > now + PROBE_WITHIN:
            return breaker  # it rests already: this one had been asked before
        rest = min(FIRST_REST * 2**breaker.rests, LONGEST_REST)
        opened = {"open_until": now + rest, "open_since": breaker.open_since or now}
        document = await self._collection.find_one_and_update(
            {"_id": channel}, {"$set": opened, "$inc": {"rests": 1}}, return_document=True
        )
        return _read(document) if document else breaker


def _read(document: Document) -> Breaker:
    fields = dict(document)
    fields["id"] = fields.pop("_id")
    breaker: Breaker = from_document(fields, Breaker)
    return breaker
