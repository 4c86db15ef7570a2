"""Every index Janji relies on, built by `python -m bot migrate`; idempotent, and the last word in most races."""

from __future__ import annotations

from typing import Any

from bot.store.devices import KEPT_FOR
from bot.store.driver import Database, OperationFailure

ASCENDING = 1

# collection -> (keys, options); the names are MongoDB's own.
INDEXES: dict[str, list[tuple[list[tuple[str, int | str]], dict[str, Any]]]] = {
    "conversations": [
        ([("expires_at", ASCENDING)], {}),
        ([("outbox.at", ASCENDING)], {"sparse": True}),
    ],
    "searches": [
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
        ([("outbox.at", ASCENDING)], {"sparse": True}),
        ([("therapist.id", ASCENDING), ("state", ASCENDING), ("created_at", -1)], {}),
        ([("conversation_id", ASCENDING), ("created_at", -1)], {}),
        # Those who talk to each other now.
        ([("state", ASCENDING), ("created_at", -1)], {"partialFilterExpression": {"state": "active"}}),
    ],
    "external_bookings": [
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


async def build(database: Database) -> None:
    """Build what is missing. Raises `CannotBuild`, also for an index of the same keys with other options."""
    for collection, indexes in INDEXES.items():
        for keys, options in indexes:
            try:
                await database[collection].create_index(keys, **options)
            except OperationFailure as error:
                fields = ", ".join(field for field, _ in keys)
                raise CannotBuild(f"the index of {collection} on ({fields}) cannot be built") from error
