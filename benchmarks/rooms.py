"""Rooms of two for the chat: active bookings, the first by the program's own turns, the others copies of its documents.

The turns are those that a booking by chat takes, from the first press to the reserved slot, and the booking hears of
them as ever. Of their other effects (offers, holds, earlier lines) only the last state line is written, which is what
opens the room to its therapist; the rest is struck from the outbox, since nothing in a chat reads it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.stage import MASSAGE
from benchmarks.town import CENTRE, therapist_at
from bot.alarms import Alarms
from bot.auth import new_id
from bot.perform import conversation_feed, state_data
from bot.services import Services, terms_of
from bot.store.driver import decode_documents, encode_document
from bot.store.records import OutboxItem
from bot.store.therapists import TherapistRecord
from bot.turns import Kind, Turns
from bot.turns import Room as RecordRoom
from bot.views import raw_booking
from conversations import booking as bookings
from conversations import events as on
from conversations import machine
from conversations.effects import TellBooking
from conversations.machine import Conversation, State, state_on_screen
from conversations.values import Contact, Location

AT_ONCE = 500
ID = re.compile(rb"\b[a-z]_[0-9a-f]{24,32}\b")

Names = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Room:
    """A guest and a therapist who talk with each other, with their tokens."""

    booking_id: str
    guest_token: str
    therapist_token: str


async def open_rooms(services: Services, count: int) -> list[Room]:
    """Every room has a therapist of its own."""
    therapist = therapist_at(0, *CENTRE)
    booking = await _book(services, therapist)
    model = [booking.conversation_id, booking.id, therapist.id]
    copies = await _copy(services, model, therapist, count - 1)
    return [
        Room(
            booking_id, services.tokens.sign("guest", conversation_id), services.tokens.sign("therapist", therapist_id)
        )
        for conversation_id, booking_id, therapist_id in (model, *copies)
    ]


class _Struck:
    """Stands where effects are performed, and only keeps what a turn wanted."""

    def __init__(self) -> None:
        self.items: dict[str, Sequence[OutboxItem]] = {}

    def put(self, room: RecordRoom, record_id: str, items: Sequence[OutboxItem]) -> None:
        self.items[record_id] = items


async def _book(services: Services, therapist: TherapistRecord) -> bookings.Booking:
    """One visit, from the first press until it is active."""
    struck, alarms = _Struck(), Alarms(services.clock.now, lambda key: None)
    kinds: dict[RecordRoom, Kind] = {
        "conversation": Kind(services.conversations, machine.decide),
        "booking": Kind(services.bookings, bookings.decide),
    }
    turns = Turns(kinds, services.clock.now, alarms, struck)
    await services.therapists.add(therapist)
    conversation_id, offer_id = new_id("c"), new_id("o")

    async def take(event: Any) -> Conversation:
        outcome = await turns.take("conversation", conversation_id, event)
        items = struck.items.pop(conversation_id)
        for item in items:
            if isinstance(item.effect, TellBooking):
                await turns.take("booking", item.effect.booking_id, item.effect.event)
        await services.conversations.performed(conversation_id, [item.id for item in items])
        record: Conversation = outcome.record
        return record

    form = await take(on.BookPressed(MASSAGE, "menu", terms_of(services.settings), "en"))
    where, who = Location("Jl. Sudirman 1", *CENTRE), Contact("Budi", "+6281234567890")
    searching = await take(on.ServiceConfirmed(form.revision, 60, where, who))
    assert searching.search_id is not None, "a confirmed visit is searched for"
    choosing = await take(on.TherapistFound(searching.search_id, offer_id, therapist.as_guests_see(), 0.5))
    await take(on.TherapistAccepted(choosing.revision, offer_id))
    active = await take(on.SlotReserved(offer_id, new_id("r")))
    assert active.state is State.ACTIVE, "these are the steps that lead to a visit"
    alarms.stop()

    stored = await services.bookings.load(active.booking_id or "")
    assert stored is not None, "a visit has a booking"
    line = state_data(state_on_screen(active), raw_booking(stored.record))
    await services.feeds.append(conversation_feed(conversation_id), new_id("e"), "state", line)
    return stored.record


async def _copy(
    services: Services, model: Sequence[str], therapist: TherapistRecord, count: int
) -> list[tuple[str, ...]]:
    """As many visits like the model (its conversation, booking and therapist), of other people; their three ids."""
    conversation_id, booking_id, therapist_id = model
    documents = {
        "conversations": await services.database["conversations"].find_one({"_id": conversation_id}),
        "bookings": await services.database["bookings"].find_one({"_id": booking_id}),
        "therapists": await services.database["therapists"].find_one({"_id": therapist_id}),
        "entries": await services.database["entries"].find_one({"feed": conversation_feed(conversation_id)}),
    }
    encoded = {collection: encode_document(document) for collection, document in documents.items()}
    ids = {found for document in encoded.values() for found in ID.findall(document)}
    copies = [
        {**_new_ids(ids), therapist.phone.encode(): therapist_at(number, *CENTRE).phone.encode()}
        for number in range(1, count + 1)
    ]
    for collection, document in encoded.items():
        for start in range(0, count, AT_ONCE):
            several = b"".join(_renamed(document, names) for names in copies[start : start + AT_ONCE])
            await services.database[collection].insert_many(list(decode_documents(several)), ordered=False)
    return [tuple(names[each.encode()].decode() for each in model) for names in copies]


def _new_ids(ids: Iterable[bytes]) -> dict[bytes, bytes]:
    """Each as long as the old one, so that they can be exchanged in an encoded document."""
    return {old: old[:2] + secrets.token_hex(len(old) // 2 - 1).encode() for old in ids}


def _renamed(document: bytes, names: Names) -> bytes:
    for old, new in names.items():
        document = document.replace(old, new)
    return document
