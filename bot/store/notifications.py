"""The ledger of notifications: one row for each booking, revision, kind, person and channel, and what became of it.

A row is open while it has a moment at which it is looked at again (`next_at`): when it is due, when it is tried again,
or when whoever claimed it must have died. The id is made of what the row is for, so that it is written once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from bot.store.codec import from_document
from bot.store.driver import Collection, Document, aggregate, insert_new
from conversations.ids import derived_id
from conversations.notices import Channel, Notice, Side, Urgency, is_reminder

Status = Literal["pending", "sending", "sent", "delivered", "skipped", "dead"]
BookingKind = Literal["booking", "external_booking"]
Queue = Literal["critical", "notify"]

OPEN: tuple[Status, ...] = ("pending", "sending")
REASONS_KEPT = 20
# Into so many parts a queue is divided, so that workers do not look at the same rows.
PARTS = 4
# Enough of what is due to see which parts have work; those that have not are looked at when these are done.
LOOKED_AT = 1_000
# A provider's own words about what it has taken, in the order in which they can follow each other.
RANKS: Mapping[str, int] = {"queued": 0, "sent": 1, "delivered": 2}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row stands as it does: a word of ours, and the provider's code where there is one."""

    at: datetime
    what: str
    code: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row as it stands. `attempts` counts claims; `doubts` those of which nobody knows whether they were sent."""

    id: str
    room: BookingKind
    booking_id: str
    revision: int
    kind: str
    side: Side
    person_id: str
    channel: Channel
    due_at: datetime
    useful_until: datetime
    urgency: Urgency
    sound: str | None
    queue: Queue
    part: int
    status: Status
    created_at: datetime
    updated_at: datetime
    next_at: datetime | None = None
    claim: str | None = None
    attempts: int = 0
    doubts: int = 0
    reasons: tuple[Reason, ...] = ()
    provider_id: str | None = None
    provider_status: str | None = None
    sent_at: datetime | None = None
    reached: tuple[str, ...] = ()
    """The devices that have it already."""
    instead_of: str | None = None
    """The row whose channel reached nobody."""
    seq: int | None = None
    """Of a message that waits: its number in the conversation."""
    bounced: tuple[str, ...] = ()
    """The provider's names of messages that it had taken and that did not arrive: of these no news counts any more."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long rows that are done are kept; dead ones stay until somebody looks."""

    done: timedelta = timedelta(days=90)
    reminders: timedelta = timedelta(days=7)


def part_of(row_id: str) -> int:
    """Which part of its queue a row belongs to."""
    return int(row_id[-2:], 16) % PARTS


def row_id(booking_id: str, revision: int, kind: str, person_id: str, channel: str, occasion: str = "") -> str:
    """The same for the same thing told to the same person on the same channel; `occasion` tells repetitions apart."""
    return derived_id("n", booking_id, str(revision), kind, person_id, channel, occasion)


class Notifications:
    """The collection `notifications`. What is claimed can only be settled by the claim that took it."""

    def __init__(self, collection: Collection, keeping: Keeping | None = None) -> None:
        self._collection = collection
        self._keeping = keeping or Keeping()

    # --- writing ------------------------------------------------------------------------------------------------------

    async def write(
        self,
        room: BookingKind,
        booking_id: str,
        revision: int,
        notices: Sequence[Notice],
        now: datetime,
        *,
        occasion: str = "",
        **more: Any,
    ) -> list[str]:
        """The ids of these rows; those that stand there already stay as they are. `more` are further fields of each."""
        documents: list[Document] = [
            {
                "_id": (name := row_id(booking_id, revision, notice.kind, notice.person_id, notice.channel, occasion)),
                "queue": "critical" if notice.urgency == "urgent" else "notify",
                "part": part_of(name),
                "room": room,
                "booking_id": booking_id,
                "revision": revision,
                "kind": notice.kind,
                "side": notice.side,
                "person_id": notice.person_id,
                "channel": notice.channel,
                "due_at": notice.due_at,
                "useful_until": notice.useful_until,
                "urgency": notice.urgency,
                "sound": notice.sound,
                "status": "pending",
                "next_at": notice.due_at,
                "attempts": 0,
                "doubts": 0,
                "reasons": [],
                "created_at": now,
                "updated_at": now,
                **more,
            }
            for notice in notices
        ]
        if documents:
            await insert_new(self._collection, documents)
        return [document["_id"] for document in documents]

    async def skip(
        self, booking_id: str, now: datetime, why: str, *, before_revision: int | None = None, but: Sequence[str] = ()
    ) -> int:
        """What still waits for this booking is not told: of older revisions only, or of all kinds `but` these."""
        query: Document = {"booking_id": {"$eq": booking_id}, "status": "pending", "kind": {"$nin": list(but)}}
        if before_revision is not None:
            query["revision"] = {"$lt": before_revision}
        done = await self._collection.update_many(query, self._ending("skipped", now, Reason(now, why)))
        count: int = done.modified_count
        return count

    # --- delivering ---------------------------------------------------------------------------------------------------

    async def due_in_app(self, now: datetime, limit: int) -> list[Row]:
        """What is due on people's own pages, the longest due first."""
        return await self._due({"next_at": {"$lte": now}, "channel": "in_app"}, limit)

    async def due_in(self, queue: Queue, part: int | None, now: datetime, limit: int) -> list[Row]:
        """What is due in this part of a queue, or in all of it, the longest due first."""
        query: Document = {"next_at": {"$lte": now}, "channel": {"$ne": "in_app"}, "queue": queue}
        return await self._due(query if part is None else {**query, "part": part}, limit)

    async def parts_due(self, now: datetime) -> dict[tuple[Queue, int], int]:
        """In which parts of queues how much is due, of the first that are."""
        pipeline: list[Document] = [
            {"$match": {"next_at": {"$lte": now}, "channel": {"$ne": "in_app"}}},
            {"$limit": LOOKED_AT},
            {"$group": {"_id": {"queue": "$queue", "part": "$part"}, "count": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
        ]
        found = await aggregate(self._collection, pipeline)
        return {(each["_id"]["queue"], each["_id"]["part"]): each["count"] for each in found}

    async def _due(self, query: Document, limit: int) -> list[Row]:
        return [_read(each) async for each in self._collection.find(query).sort("next_at", 1).limit(limit)]

    async def get(self, row_id: str) -> Row | None:
        document = await self._collection.find_one({"_id": {"$eq": row_id}})
        return _read(document) if document else None

    async def load(self, row_ids: Sequence[str]) -> list[Row]:
        """Those of them that there are, in no order."""
        return [_read(each) async for each in self._collection.find({"_id": {"$in": list(row_ids)}})]

    async def claim(self, row: Row, claim: str, now: datetime, lease: timedelta) -> Row | None:
        """The row, ours until the lease is over; None where somebody else has it, or it has been settled.

        A lease that has run out belonged to somebody who died: whether the provider was asked, nobody knows.
        """
        taken: Document = {"status": "sending", "claim": claim, "next_at": now + lease, "updated_at": now}
        was_interrupted = row.status == "sending"
        document = await self._collection.find_one_and_update(
            {"_id": row.id, "next_at": {"$lte": now}, "status": row.status, "claim": row.claim},
            {"$set": taken, "$inc": {"attempts": 1, "doubts": int(was_interrupted)}},
            return_document=True,
        )
        return _read(document) if document else None

    async def settle(self, row: Row, status: Status, now: datetime, reason: Reason | None = None, **more: Any) -> bool:
        """End the row, unless another claim has taken it meanwhile."""
        if status == "sent":
            more["sent_at"] = now
        ending = self._ending(status, now, reason, is_brief=is_reminder(row.kind), **more)
        done = await self._collection.update_one({"_id": row.id, **_as_held(row)}, ending)
        return bool(done.modified_count)

    async def put_back(
        self, row: Row, at: datetime, now: datetime, reason: Reason, *, attempts: int, doubts: int, **more: Any
    ) -> bool:
        """Look at it again at that moment, with these counts."""
        fields: Document = {
            "status": "pending",
            "next_at": at,
            "updated_at": now,
            "attempts": attempts,
            "doubts": doubts,
            **more,
        }
        update = {"$set": fields, "$unset": {"claim": ""}, "$push": _pushed(reason)}
        done = await self._collection.update_one({"_id": row.id, **_as_held(row)}, update)
        return bool(done.modified_count)

    async def advance(self, row_id: str, provider_id: str, provider_status: str, now: datetime) -> bool:
        """What the provider says of a message that it took; an older word changes nothing."""
        rank = RANKS.get(provider_status)
        if rank is None:
            return False
        fields: Document = {"provider_id": provider_id, "provider_status": provider_status, "updated_at": now}
        older = [None, *(word for word, other in RANKS.items() if other < rank)]
        if provider_status == "delivered":
            # The answer to the request itself may be lost, or come after this.
            fields |= {"status": "delivered"}
        update: Document = {"$set": fields, "$push": _pushed(Reason(now, provider_status))}
        if provider_status == "delivered":
            update["$unset"] = {"next_at": "", "claim": ""}
        still = {**_as_provided(row_id, provider_id), "provider_status": {"$in": older}, "status": {"$ne": "skipped"}}
        done = await self._collection.update_one(still, update)
        return bool(done.modified_count)

    async def bounce(self, row_id: str, provider_id: str, reason: Reason, again_at: datetime | None) -> bool:
        """What the provider had taken has not arrived: the row waits for another try, or is dead."""
        still = {
            **_as_provided(row_id, provider_id),
            "provider_status": {"$in": [None, "queued", "sent"]},
            "status": {"$in": ["sending", "sent"]},
        }
        gone = dict.fromkeys(("next_at", "claim", "remove_at", "sent_at"), "")
        fields: Document = {"updated_at": reason.at, "provider_id": provider_id, "provider_status": reason.what}
        update: Document = {"$set": {**fields, "status": "dead"}, "$unset": gone, "$push": _pushed(reason)}
        if again_at is not None:
            update["$set"] = {"updated_at": reason.at, "status": "pending", "next_at": again_at}
            update["$unset"] = dict.fromkeys((*gone.keys() - {"next_at"}, "provider_id", "provider_status"), "")
            update["$addToSet"] = {"bounced": provider_id}
        done = await self._collection.update_one(still, update)
        return bool(done.modified_count)

    async def sent_since(
        self, people: Sequence[tuple[str, Channel]], since: datetime
    ) -> dict[tuple[str, Channel], list[datetime]]:
        """When these people were sent something on these channels, the oldest first; others are left out."""
        ids, channels = [list(set(each)) for each in zip(*people, strict=True)]
        query = {"person_id": {"$in": ids}, "channel": {"$in": channels}, "sent_at": {"$gt": since}}
        wanted = {"_id": 0, "person_id": 1, "channel": 1, "sent_at": 1}
        sent: dict[tuple[str, Channel], list[datetime]] = defaultdict(list)
        async for each in self._collection.find(query, wanted).sort("sent_at", 1):
            sent[each["person_id"], each["channel"]].append(each["sent_at"])
        return sent

    async def has_told(self, row: Row, since: datetime) -> bool:
        """Whether the same person was sent the same of this booking by this way since then, or is about to be."""
        earlier = {"created_at": {"$lt": row.created_at}, "status": {"$in": list(OPEN)}}
        alike = {
            "booking_id": {"$eq": row.booking_id},
            "person_id": {"$eq": row.person_id},
            "kind": row.kind,
            "channel": row.channel,
            "_id": {"$ne": row.id},
            "$or": [{"sent_at": {"$gt": since}}, earlier],
        }
        return await self._collection.find_one(alike, {"_id": 1}) is not None

    # --- the delivery desk --------------------------------------------------------------------------------------------

    async def of_booking(self, booking_id: str, limit: int = 100) -> list[Row]:
        cursor = self._collection.find({"booking_id": {"$eq": booking_id}}).sort("due_at", 1).limit(limit)
        return [_read(each) async for each in cursor]

    async def page(self, statuses: Sequence[Status], limit: int, offset: int) -> list[Row]:
        """Those that stand so, the ones that were due first in front."""
        cursor = self._collection.find({"status": {"$in": list(statuses)}}).sort([("due_at", 1), ("_id", 1)])
        return [_read(each) async for each in cursor.skip(offset).limit(limit)]

    async def count(self, statuses: Sequence[Status]) -> int:
        total: int = await self._collection.count_documents({"status": {"$in": list(statuses)}})
        return total

    async def oldest_due(self, now: datetime) -> datetime | None:
        """Since when the row waits that should have been looked at first, None where nothing is late."""
        late = await self._collection.find_one({"next_at": {"$lte": now}}, {"next_at": 1}, sort=[("next_at", 1)])
        return late["next_at"] if late else None

    async def revive(self, row_id: str, now: datetime, useful_until: datetime) -> bool:
        """A dead row is tried again from the beginning, and is useful for as long as whoever asks says."""
        fields: Document = {
            "status": "pending",
            "next_at": now,
            "attempts": 0,
            "doubts": 0,
            "useful_until": useful_until,
            "updated_at": now,
        }
        gone = dict.fromkeys(("claim", "provider_id", "provider_status"), "")
        update: Document = {"$set": fields, "$unset": gone, "$push": _pushed(Reason(now, "retried"))}
        done = await self._collection.update_one({"_id": {"$eq": row_id}, "status": "dead"}, update)
        return bool(done.modified_count)

    async def discard(self, row_id: str, now: datetime) -> bool:
        """Nobody wants a dead or waiting row any more."""
        ending = self._ending("skipped", now, Reason(now, "discarded"))
        done = await self._collection.update_one(
            {"_id": {"$eq": row_id}, "status": {"$in": ["dead", "pending"]}}, ending
        )
        return bool(done.modified_count)

    def _ending(
        self, status: Status, now: datetime, reason: Reason | None, *, is_brief: bool = False, **more: Any
    ) -> Document:
        fields: Document = {"status": status, "updated_at": now, **more}
        if status != "dead":
            fields["remove_at"] = now + (self._keeping.reminders if is_brief else self._keeping.done)
        update: Document = {"$set": fields, "$unset": {"next_at": "", "claim": ""}}
        if reason:
            update["$push"] = _pushed(reason)
        return update


def _as_held(row: Row) -> Document:
    """The row as whoever settles it knows it: claimed by them, or still as it was read."""
    return {"status": row.status, "claim": row.claim}


def _as_provided(row_id: str, provider_id: str) -> Document:
    """The row if this is its message: its last one, or one whose name the provider has not told us yet."""
    return {
        "_id": {"$eq": row_id},
        "provider_id": {"$in": [None, provider_id]},
        "bounced": {"$ne": provider_id},
    }


def _pushed(reason: Reason) -> Document:
    document = {"at": reason.at, "what": reason.what, "code": reason.code}
    return {"reasons": {"$each": [document], "$slice": -REASONS_KEPT}}


def _read(document: Document) -> Row:
    fields = dict(document)
    fields["id"] = fields.pop("_id")
    fields.pop("remove_at", None)
    row: Row = from_document(fields, Row)
    return row
