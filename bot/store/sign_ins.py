"""Sign-in codes of therapists: what they are made from, short-lived, and used once.

Kept is a nonce; the code itself is made from it with our secret, see `Tokens.sign_in_code`. Whoever asks while the
newest code is fresh is sent that same code again: a stranger who asks for codes of a number takes nothing away from its
owner, and every code that was sent has at least `CODE_IS_FRESH` to be typed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.errors import Outage
from bot.store.driver import Collection, DuplicateKeyError

CODE_LIVES = timedelta(minutes=10)
CODE_IS_FRESH = timedelta(minutes=5)
# No more than two can be alive, since each is the newest for half of its life.
MOST_CODES = 2
# The limits allow far fewer; this one stands also where no process remembers what the others counted.
MOST_TRIES = 50


@dataclass(frozen=True, slots=True)
class Issued:
    """What the code of a number is made from, and when it ends."""

    nonce: str
    expires_at: datetime


class SignIns:
    """The collection `sign_ins`: one document per phone number, removed by a TTL index after its last code."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def issue(self, phone: str, nonce: str, now: datetime) -> Issued:
        """The code of this number: the newest one while it is fresh, else one that is made from this nonce."""
        has_no_fresh = {"_id": phone, "codes.0.born_at": {"$not": {"$gt": now - CODE_IS_FRESH}}}
        newest_first = {"codes": {"$each": [{"nonce": nonce, "born_at": now}], "$position": 0, "$slice": MOST_CODES}}
        fresh = {"$push": newest_first, "$set": {"tries": 0, "remove_at": now + CODE_LIVES}}
        for _ in range(3):
            with suppress(DuplicateKeyError):  # then there is a fresh one
                await self._collection.update_one(has_no_fresh, fresh, upsert=True)
            document = await self._collection.find_one({"_id": {"$eq": phone}})
            if document and document["codes"]:  # else it was used between the two
                newest = document["codes"][0]
                return Issued(newest["nonce"], newest["born_at"] + CODE_LIVES)
        raise Outage("codes of this number come and go too fast")

    async def phone_of(self, nonce: str) -> str | None:
        """Whose code is made from this nonce, None once it has been used."""
        document = await self._collection.find_one({"codes.nonce": {"$eq": nonce}}, {"_id": 1})
        return document["_id"] if document else None

    async def tried(self, phone: str, now: datetime) -> Sequence[str]:
        """Count a try, then say which nonces are alive; none after too many tries."""
        document = await self._collection.find_one_and_update(
            {"_id": {"$eq": phone}, "tries": {"$lt": MOST_TRIES}}, {"$inc": {"tries": 1}}
        )
        codes = document.get("codes", ()) if document else ()
        return [code["nonce"] for code in codes if code["born_at"] > now - CODE_LIVES]

    async def use(self, phone: str, nonce: str) -> bool:
        """Whether the code was still there; it is not any more."""
        used = await self._collection.update_one(
            {"_id": {"$eq": phone}, "codes.nonce": nonce}, {"$pull": {"codes": {"nonce": nonce}}}
        )
        return bool(used.modified_count)
