"""Requests that are done once: who sends one again under the same key gets the first answer again, for a day.

A request under way holds its key for a short lease. If its process dies, the lease ends and the next one begins anew:
what it leads to is done by turns, which do nothing twice.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.store.driver import Collection, Document, DuplicateKeyError

ANSWERS_LIVE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Begun:
    """The request is ours to do; `token` is this attempt's."""

    id: str
    token: str


@dataclass(frozen=True, slots=True)
class Answered:
    """It was done, and this was the answer."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Somebody does it at this moment, for that long at most."""

    seconds_left: float


@dataclass(frozen=True, slots=True)
class Different:
    """The key was used for a request that said something else."""


class Idempotency:
    """The collection `idempotency`; a TTL index removes what is a day old."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def begin(
        self, request_id: str, digest: str, now: datetime, lease: timedelta
    ) -> Begun | Answered | UnderWay | Different:
        """Take a request up, or learn what became of it; `digest` tells whether it says the same."""
        token = secrets.token_hex(8)
        fresh = {
            "digest": digest,
            "token": token,
            "lease_until": now + lease,
            "answer": None,
            "remove_at": now + ANSWERS_LIVE,
        }
        # The TTL index comes round once a minute: what it has not removed yet is as good as gone.
        is_free = {
            "$or": [{"remove_at": {"$lte": now}}, {"answer": None, "lease_until": {"$lte": now}, "digest": digest}]
        }
        with suppress(DuplicateKeyError):  # then it is not free
            await self._collection.update_one({"_id": request_id, **is_free}, {"$set": fresh}, upsert=True)
            return Begun(request_id, token)
        return _standing_of(await self._collection.find_one({"_id": request_id}), digest, now)

    async def finish(self, begun: Begun, status: int, body: dict[str, Any]) -> None:
        """Keep the answer, unless another attempt has taken the request over."""
        answer = {"status": status, "body": body}
        await self._collection.update_one({"_id": begun.id, "token": begun.token}, {"$set": {"answer": answer}})

    async def give_up(self, begun: Begun) -> None:
        """Nothing was done: the same key may come again, and with another body too."""
        await self._collection.delete_one({"_id": begun.id, "token": begun.token})


def _standing_of(document: Document | None, digest: str, now: datetime) -> Answered | UnderWay | Different:
    if document is None:  # given up between the two questions
        return UnderWay(0.0)
    if document["digest"] != digest:
        return Different()
    if document["answer"] is not None:
        return Answered(document["answer"]["status"], document["answer"]["body"])
    return UnderWay(max(0.0, (document["lease_until"] - now).total_seconds()))
