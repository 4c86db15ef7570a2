"""Webhooks of integrators: where they want to hear of what, and a ledger of what each of them was told.

There is one row for each endpoint and event. A row is open while it has a moment at which it is looked at again
(`next_at`): when it is tried next, or when whoever claimed it must have died.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

import orjson

from bot.identity import new_id
from bot.store.driver import Collection, Document, insert_new

EventType = Literal[
    "booking.confirmed",
    "booking.moved",
    "booking.cancelled",
    "booking.completed",
    "payment.confirmed",
    "payment.failed",
    "notification.sent",
    "notification.delivered",
    "notification.dead",
]
Status = Literal["pending", "sending", "delivered", "dead"]

EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
SECRET_BYTES = 32
# How long a row is kept, whatever becomes of it, and can be replayed.
KEPT = timedelta(days=90)
REPLAYED_AT_ONCE = 10_000
# Most events are of interest to nobody: that is asked this often, and a new endpoint hears of everything from then on.
WANTS_ARE_KEPT_S = 5.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `id` is the same however often it is told. `data` holds ids, not people."""

    id: str
    type: EventType
    at: datetime
    data: Mapping[str, Any]

    def body(self) -> str:
        """What is posted: the same bytes each time, since they are signed."""
        return orjson.dumps(
            {"type": self.type, "timestamp": self.at, "data": self.data}, option=orjson.OPT_UTC_Z
        ).decode()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Whom to tell. `failing_since` is the first failure after the last success."""

    id: str
    url: str
    secret: str
    event_types: tuple[EventType, ...]
    created_at: datetime
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled_why: str | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.id})"  # neither its secret nor what may stand in its address


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint. `attempts` counts claims; `code` is what the last one ended with."""

    id: str
    endpoint_id: str
    event_id: str
    event_type: EventType
    body: str
    status: Status
    attempts: int
    created_at: datetime
    next_at: datetime | None = None
    claim: str | None = None
    code: str | None = None


class Webhooks:
    """The collections `webhook_endpoints` and `webhook_deliveries`."""

    def __init__(self, endpoints: Collection, deliveries: Collection) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._wants: list[tuple[str, frozenset[str]]] = []
        self._wants_until = 0.0

    # --- endpoints ----------------------------------------------------------------------------------------------------

    async def add(self, url: str, event_types: Sequence[EventType], now: datetime) -> Endpoint:
        """A new endpoint, whose secret its owner needs once to check our signatures; no types stand for all."""
        secret = f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"
        wanted = tuple(sorted(set(event_types or EVENT_TYPES)))
        self._wants_until = 0.0
        endpoint = Endpoint(new_id("we"), url, secret, wanted, now)
        await self._endpoints.insert_one(
            {
                "_id": endpoint.id,
                "url": url,
                "secret": secret,
                "event_types": list(wanted),
                "created_at": now,
                "failing_since": None,
                "disabled_at": None,
                "disabled_why": None,
            }
        )
        return endpoint

    async def all(self) -> list[Endpoint]:
        return [_endpoint(each) async for each in self._endpoints.find({}).sort("created_at", 1)]

    async def active(self) -> list[Endpoint]:
        return [_endpoint(each) async for each in self._endpoints.find({"disabled_at": None})]

    async def remove(self, endpoint_id: str) -> bool:
        """Whether there was one; what it has not been told yet is forgotten."""
        self._wants_until = 0.0
        gone = await self._endpoints.delete_one({"_id": {"$eq": endpoint_id}})
        await self._deliveries.delete_many({"endpoint_id": {"$eq": endpoint_id}})
        return bool(gone.deleted_count)

    async def succeeded(self, endpoint_id: str) -> None:
        await self._endpoints.update_one(
            {"_id": endpoint_id, "failing_since": {"$ne": None}}, {"$set": {"failing_since": None}}
        )

    async def failed(self, endpoint_id: str, now: datetime) -> datetime:
        """Once more; gives since when it has been failing."""
        first = {"_id": endpoint_id, "failing_since": None}
        await self._endpoints.update_one(first, {"$set": {"failing_since": now}})
        document = await self._endpoints.find_one({"_id": endpoint_id})
        since: datetime = (document or {}).get("failing_since") or now
        return since

    async def disable(self, endpoint_id: str, why: str, now: datetime) -> bool:
        """Whether it was not disabled before. What waits for it becomes dead, and can be replayed."""
        self._wants_until = 0.0
        disabled = {"$set": {"disabled_at": now, "disabled_why": why}}
        changed = await self._endpoints.update_one({"_id": endpoint_id, "disabled_at": None}, disabled)
        waiting: Document = {"endpoint_id": endpoint_id, "status": "pending"}
        await self._deliveries.update_many(waiting, _ending("dead", "disabled", now))
        return bool(changed.modified_count)

    # --- deliveries ---------------------------------------------------------------------------------------------------

    async def publish(self, event: Event, now: datetime) -> int:
        """Put it in line for everybody who wants to hear of it, once; gives for how many."""
        rows: list[Document] = [
            {
                "_id": delivery_id(endpoint_id, event.id),
                "endpoint_id": endpoint_id,
                "event_id": event.id,
                "event_type": event.type,
                "body": event.body(),
                "status": "pending",
                "attempts": 0,
                "created_at": now,
                "next_at": now,
                "remove_at": now + KEPT,
            }
            for endpoint_id, wanted in await self._wanting()
            if event.type in wanted
        ]
        if rows:
            await insert_new(self._deliveries, rows)
        return len(rows)

    async def _wanting(self) -> list[tuple[str, frozenset[str]]]:
        if time.monotonic() >= self._wants_until:
            self._wants = [(each.id, frozenset(each.event_types)) for each in await self.active()]
            self._wants_until = time.monotonic() + WANTS_ARE_KEPT_S
        return self._wants

    async def due(self, endpoint_id: str, now: datetime, limit: int) -> list[Delivery]:
        query = {"endpoint_id": endpoint_id, "next_at": {"$lte": now}}
        return [_delivery(each) async for each in self._deliveries.find(query).sort("next_at", 1).limit(limit)]

    async def claim(self, delivery: Delivery, now: datetime, lease: timedelta) -> Delivery | None:
        """The row, ours until the lease is over; None where somebody else has it."""
        as_seen: Document = {"_id": delivery.id, "next_at": {"$lte": now}, "claim": delivery.claim}
        taken = {"status": "sending", "claim": new_id("wc"), "next_at": now + lease}
        document = await self._deliveries.find_one_and_update(
            as_seen, {"$set": taken, "$inc": {"attempts": 1}}, return_document=True
        )
        return _delivery(document) if document else None

    async def put_back(self, delivery: Delivery, at: datetime, code: str) -> None:
        """Try it again at that moment."""
        again = {"$set": {"status": "pending", "next_at": at, "code": code}, "$unset": {"claim": ""}}
        await self._deliveries.update_one(_as_held(delivery), again)

    async def settle(self, delivery: Delivery, status: Literal["delivered", "dead"], code: str, now: datetime) -> None:
        await self._deliveries.update_one(_as_held(delivery), _ending(status, code, now))

    async def get(self, row_id: str) -> Delivery | None:
        document = await self._deliveries.find_one({"_id": {"$eq": row_id}})
        return _delivery(document) if document else None

    async def replay(self, row_id: str, now: datetime) -> int:
        """Tell it once more, whatever became of it; gives 1, or 0 where there is no such row or it is on its way."""
        return await self._replay({"_id": {"$eq": row_id}}, now)

    async def replay_since(self, endpoint_id: str, since: datetime, now: datetime) -> int:
        """Everything that this endpoint was told, or should have been, from that moment on."""
        return await self._replay({"endpoint_id": {"$eq": endpoint_id}, "created_at": {"$gte": since}}, now)

    async def counts(self) -> dict[str, int]:
        """How many rows are `waiting` and `dead`, and how many endpoints are `disabled`."""
        return {
            "waiting": await self._deliveries.count_documents({"status": {"$in": ["pending", "sending"]}}),
            "dead": await self._deliveries.count_documents({"status": "dead"}),
            "disabled": await self._endpoints.count_documents({"disabled_at": {"$ne": None}}),
        }

    async def _replay(self, which: Document, now: datetime) -> int:
        """Who asks for it says that the endpoint is well: one that was disabled is not any more."""
        self._wants_until = 0.0
        ended = {**which, "status": {"$in": ["delivered", "dead"]}}
        found = self._deliveries.find(ended, {"endpoint_id": 1}).limit(REPLAYED_AT_ONCE)
        rows = {each["_id"]: each["endpoint_id"] async for each in found}
        well = {"$set": {"disabled_at": None, "disabled_why": None, "failing_since": None}}
        await self._endpoints.update_many({"_id": {"$in": list(set(rows.values()))}}, well)
        again: Document = {
            "$set": {"status": "pending", "attempts": 0, "next_at": now, "remove_at": now + KEPT},
            "$unset": {"code": ""},
        }
        done = await self._deliveries.update_many({**ended, "_id": {"$in": list(rows)}}, again)
        count: int = done.modified_count
        return count


def delivery_id(endpoint_id: str, event_id: str) -> str:
    return f"{endpoint_id}:{event_id}"


def _as_held(delivery: Delivery) -> Document:
    return {"_id": delivery.id, "status": "sending", "claim": delivery.claim}


def _ending(status: Literal["delivered", "dead"], code: str, now: datetime) -> Document:
    fields = {"status": status, "code": code, "remove_at": now + KEPT}
    return {"$set": fields, "$unset": {"claim": "", "next_at": ""}}


def _endpoint(document: Document) -> Endpoint:
    return Endpoint(
        document["_id"],
        document["url"],
        document["secret"],
        tuple(document["event_types"]),
        document["created_at"],
        document["failing_since"],
        document["disabled_at"],
        document["disabled_why"],
    )


def _delivery(document: Document) -> Delivery:
    return Delivery(
        document["_id"],
        document["endpoint_id"],
        document["event_id"],
        document["event_type"],
        document["body"],
        document["status"],
        document["attempts"],
        document["created_at"],
        document.get("next_at"),
        document.get("claim"),
        document.get("code"),
    )
