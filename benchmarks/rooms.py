"""Rooms of two for the chat: active bookings, made by the program's own turns on the database, without a server.

The turns are those that a booking by chat takes, from the first press to the reserved slot, and the booking hears of
them as ever. Of their other effects (offers, holds, earlier lines) only the last state line is written, which is what
opens the room to its therapist; the rest is struck from the outbox, since nothing in a chat reads it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.stage import MASSAGE
from benchmarks.town import CENTRE, therapist_at
from bot.alarms import Alarms
from bot.auth import new_id
from bot.perform import conversation_feed, state_data
from bot.services import Services, terms_of
from bot.store.records import OutboxItem
from bot.turns import Kind, Turns
from bot.turns import Room as RecordRoom
from bot.views import raw_booking
from conversations import booking as bookings
from conversations import events as on
from conversations import machine
from conversations.effects import TellBooking
from conversations.machine import Conversation, State, state_on_screen
from conversations.values import Contact, Location

AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Room:
    """A guest and a therapist who talk with each other, with their tokens."""

    booking_id: str
    guest_token: str
    therapist_token: str


class _Struck:
    """Stands where effects are performed, and only keeps what a turn wanted."""

    def __init__(self) -> None:
        self.items: dict[str, Sequence[OutboxItem]] = {}

    def put(self, room: RecordRoom, record_id: str, items: Sequence[OutboxItem]) -> None:
        self.items[record_id] = items


async def open_rooms(services: Services, count: int) -> list[Room]:
    """Every room has a therapist of its own."""
    struck = _Struck()
    alarms = Alarms(services.clock.now, lambda key: None)
    kinds: dict[RecordRoom, Kind] = {
        "conversation": Kind(services.conversations, machine.decide),
        "booking": Kind(services.bookings, bookings.decide),
    }
    turns = Turns(kinds, services.clock.now, alarms, struck)
    rooms: list[Room] = []
    while len(rooms) < count:
        several = range(len(rooms), min(len(rooms) + AT_ONCE, count))
        rooms += await asyncio.gather(*(_open(services, turns, struck, number) for number in several))
    alarms.stop()
    return rooms


async def _open(services: Services, turns: Turns, struck: _Struck, number: int) -> Room:
    therapist = therapist_at(number, *CENTRE)
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

    booking = await services.bookings.load(active.booking_id or "")
    assert booking is not None, "a visit has a booking"
    line = state_data(state_on_screen(active), raw_booking(booking.record))
    await services.feeds.append(conversation_feed(conversation_id), new_id("e"), "state", line)
    return Room(
        booking.record.id,
        services.tokens.sign("guest", conversation_id),
        services.tokens.sign("therapist", therapist.id),
    )
