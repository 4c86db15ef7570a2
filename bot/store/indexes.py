"""Every index Janji relies on, built by `python -m bot migrate`; idempotent, and the last word in most races."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from bot.cancelling import cancel
from bot.store.devices import KEPT_FOR
from bot.store.driver import Database, OperationFailure, PyMongoError

ASCENDING = 1

# collection -> (keys, options); the names are MongoDB's own.
INDEXES: dict[str, list[tuple[list[tuple[str, int | str]], dict[str, Any]]]] = {
    "conversations": [
        ([("parked.at", ASCENDING)], {"sparse": True}),
        ([("expires_at", ASCENDING)], {}),
        ([("outbox.at", ASCENDING)], {"sparse": True}),
    ],
    "searches": [
        ([("parked.at", ASCENDING)], {"sparse": True}),
        ([("expires_at", ASCENDING)], {}),
        ([("outbox.at", ASCENDING)], {"sparse": True}),
        # One live search per conversation, whatever else goes wrong.
        (
            [("conversation_id", ASCENDING)],
            {"unique": True, "partialFilterExpression": {"state": {"$in": ["asking", "keeping", "found"]}}},
        ),
        ([("conversation_id", ASCENDING), ("state", ASCENDING)], {}),
        ([("offers.offer_id", ASCENDING)], {}),
        ([("offers.therapist_id", ASCENDING), ("state", ASCENDING)], {}),
    ],
    "bookings": [
        ([("parked.at", ASCENDING)], {"sparse": True}),
        ([("outbox.at", ASCENDING)], {"sparse": True}),
        ([("therapist.id", ASCENDING), ("state", ASCENDING), ("created_at", -1)], {}),
        ([("conversation_id", ASCENDING), ("created_at", -1)], {}),
        # Those who talk to each other now.
        ([("state", ASCENDING), ("created_at", -1)], {"partialFilterExpression": {"state": "active"}}),
    ],
    "external_bookings": [
        ([("parked.at", ASCENDING)], {"sparse": True}),
        ([("reference", ASCENDING)], {}),
        ([("expires_at", ASCENDING)], {}),
        ([("outbox.at", ASCENDING)], {"sparse": True}),
        ([("remove_at", ASCENDING)], {"expireAfterSeconds": 0}),
    ],
    "therapists": [
        ([("available", ASCENDING), ("location", "2dsphere")], {}),
        ([("phone", ASCENDING)], {"unique": True}),
    ],
    "reservations": [
        # The commit point of every booking: nobody has the same quarter of an hour twice.
        (
            [("therapist_id", ASCENDING), ("cells", ASCENDING)],
            {"unique": True, "partialFilterExpression": {"active": True}},
        ),
    ],
    "entries": [
        ([("feed", ASCENDING), ("seq", ASCENDING)], {"unique": True}),
        # How far each side has read, from its last receipt: a message costs this index nothing.
        (
            [("feed", ASCENDING), ("data.by", ASCENDING), ("data.seq", ASCENDING)],
            {"partialFilterExpression": {"type": "read"}},
        ),
        # The state lines of a booking: they say which part of a conversation its therapist may read.
        ([("data.booking_id", ASCENDING), ("seq", ASCENDING)], {"partialFilterExpression": {"type": "state"}}),
    ],
    "token_families": [
        ([("remove_at", ASCENDING)], {"expireAfterSeconds": 0}),
        ([("news_at", ASCENDING)], {"sparse": True}),
    ],
    "notifications": [
        ([("next_at", ASCENDING)], {"sparse": True}),
        ([("booking_id", ASCENDING), ("due_at", ASCENDING)], {}),
        ([("person_id", ASCENDING), ("channel", ASCENDING), ("sent_at", ASCENDING)], {}),
        ([("status", ASCENDING), ("due_at", ASCENDING)], {}),
        ([("remove_at", ASCENDING)], {"expireAfterSeconds": 0}),
    ],
    "devices": [
        ([("person_id", ASCENDING), ("kept_at", -1)], {}),
        ([("kept_at", ASCENDING)], {"expireAfterSeconds": int(KEPT_FOR.total_seconds())}),
    ],
    "tickets": [([("expires_at", ASCENDING)], {"expireAfterSeconds": 60})],
    "idempotency": [([("remove_at", ASCENDING)], {"expireAfterSeconds": 0})],
    "open_searches": [([("remove_at", ASCENDING)], {"expireAfterSeconds": 0})],
    "heartbeats": [([("remove_at", ASCENDING)], {"expireAfterSeconds": 0})],
    "inbox": [
        ([("next_at", ASCENDING)], {"sparse": True}),
        ([("status", ASCENDING)], {}),
        ([("remove_at", ASCENDING)], {"expireAfterSeconds": 0}),
    ],
    "sign_ins": [
        ([("remove_at", ASCENDING)], {"expireAfterSeconds": 0}),
        ([("codes.nonce", ASCENDING)], {}),
    ],
    "webhook_deliveries": [
        ([("endpoint_id", ASCENDING), ("next_at", ASCENDING)], {}),
        ([("endpoint_id", ASCENDING), ("created_at", ASCENDING)], {}),
        ([("status", ASCENDING)], {}),
        ([("remove_at", ASCENDING)], {"expireAfterSeconds": 0}),
    ],
}


class CannotBuild(Exception):
    """What stands in the database is in the way of an index: the text names it, the cause is what the server said."""


Tell = Callable[[str], None]
# What is built at once is not worth a line.
TOLD_EVERY_S = 2.0


def to_nobody(line: str) -> None:
    """Nobody waits for it."""


async def build(database: Database, tell: Tell = to_nobody) -> None:
    """Build what is missing, and `tell` how far it is. A collection of millions takes minutes: nothing limits the time.

    Raises `CannotBuild`, also for an index of the same keys with other options.
    """
    for collection, indexes in INDEXES.items():
        for keys, options in indexes:
            fields = ", ".join(field for field, _ in keys)
            try:
                async with _told(database, f"the index of {collection} on ({fields})", tell):
                    await database[collection].create_index(keys, **options)
            except OperationFailure as error:
                raise CannotBuild(f"the index of {collection} on ({fields}) cannot be built") from error


@asynccontextmanager
async def _told(database: Database, what: str, tell: Tell) -> AsyncIterator[None]:
    """Every two seconds how far it is, as the server counts, until it is done."""
    telling = asyncio.create_task(_tell(database, what, tell))
    try:
        yield
    finally:
        await cancel(telling)


async def _tell(database: Database, what: str, tell: Tell) -> None:
    while True:
        await asyncio.sleep(TOLD_EVERY_S)
        tell(f"{what}: {await _how_far(database)}")


async def _how_far(database: Database) -> str:
    """In percent, where the server says it to whoever we are."""
    try:
        answer = await database.client.admin.command("currentOp")
    except PyMongoError:
        return "is being built"
    for operation in answer.get("inprog", ()):
        progress = operation.get("progress")
        if "Index Build" in operation.get("msg", "") and progress and progress["total"]:
            return f"{100 * progress['done'] // progress['total']} % of this step"
    return "is being built"
