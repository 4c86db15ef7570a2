"""Sign-in codes of therapists: hashed, short-lived, few tries, few codes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from bot.store.driver import Collection, DuplicateKeyError

CODE_LIVES = timedelta(minutes=10)
MOST_TRIES = 5
MOST_CODES = 5
CODES_WITHIN = timedelta(hours=1)

Verdict = Literal["right", "wrong", "spent"]


class SignIns:
    """The collection `sign_ins`: one document per phone number, removed by a TTL index after its last use."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def issue(self, phone: str, code_hash: str, now: datetime) -> datetime | None:
        """Remember a new code and say when it ends; None when this number has had too many within the hour."""
        window = now - CODES_WITHIN
        allowed = {"_id": phone, f"issued.{MOST_CODES - 1}": {"$not": {"$gt": window}}}
        expires_at = now + CODE_LIVES
        fresh = {"code_hash": code_hash, "expires_at": expires_at, "tries": 0, "remove_at": now + CODES_WITHIN}
        # The newest come first, so the last of the list says whether the allowance is used up.
        newest_first = {"issued": {"$each": [now], "$position": 0, "$slice": MOST_CODES}}
        # A duplicate key means that the allowance is used up, or that the number's very first code was asked for twice
        # at once: then the document stands by the second try.
        for _ in range(2):
            try:
                await self._collection.update_one(allowed, {"$set": fresh, "$push": newest_first}, upsert=True)
            except DuplicateKeyError:
                continue
            return expires_at
        return None

    async def allowed_again_at(self, phone: str) -> datetime | None:
        """When a number that has had too many codes may have the next; None for one that never had any."""
        document = await self._collection.find_one({"_id": {"$eq": phone}}, {"issued": 1})
        oldest: datetime | None = document["issued"][-1] if document else None
        return oldest + CODES_WITHIN if oldest else None

    async def check(self, phone: str, code_hash: str, now: datetime) -> Verdict:
        """Count the try first, then compare: a code works once, and not after five wrong guesses."""
        document = await self._collection.find_one_and_update(
            {"_id": {"$eq": phone}, "expires_at": {"$gt": now}, "tries": {"$lt": MOST_TRIES}},
            {"$inc": {"tries": 1}},
            return_document=True,
        )
        if document is None:
            return "spent"
        if document["code_hash"] != code_hash:
            return "wrong"
        # The code itself goes: who came at the same moment may have an earlier `now`, to which it would still be alive.
        used = await self._collection.update_one(
            {"_id": phone, "code_hash": code_hash}, {"$set": {"code_hash": None, "expires_at": now}}
        )
        return "right" if used.modified_count else "spent"
