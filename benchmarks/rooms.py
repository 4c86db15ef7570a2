"""Rooms of two for the chat: active bookings, the first by the program's own turns, the others copies of its documents.

The turns are those that a booking by chat takes, from the first press to the reserved slot, and the booking hears of
them as ever. Of their other effects (offers, holds, notices, earlier lines) only the last state line is written, which
is what opens the room to its therapist; the rest is struck from the outbox, since nothing in a chat reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.copies import Copy, read_model
from benchmarks.stage import MASSAGE
from benchmarks.town import CENTRE, therapist_at
from bot.identity import conversation_feed, new_id
from bot.schemas.views import raw_booking
from bot.services import Services, terms_of
from bot.store.kinds import BOOKING, CONVERSATION, RecordName
from bot.store.records import OutboxItem
from bot.store.therapists import TherapistRecord
from bot.turns.alarms import Alarms
from bot.turns.showing import state_data
from bot.turns.turns import Take, Turns
from conversations import booking as bookings
from conversations import events as on
from conversations.conversation import Conversation, State, state_on_screen
from conversations.effects import TellBooking
from conversations.values import Contact, Location


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
    model = await read_model(
        services.database,
        {
            "conversations": {"_id": booking.conversation_id},
            "bookings": {"_id": booking.id},
            "therapists": {"_id": therapist.id},
            "entries": {"feed": conversation_feed(booking.conversation_id)},
        },
    )
    copies = [
        Copy({**model.new_names(), therapist.phone.encode(): therapist_at(number, *CENTRE).phone.encode()})
        for number in range(1, count)
    ]
    await model.insert(services.database, copies)
    same = Copy({each: each for each in model.ids})
    return [
        Room(
            copy.name_of(booking.id),
            services.tokens.sign("guest", copy.name_of(booking.conversation_id)),
            services.tokens.sign("therapist", copy.name_of(therapist.id)),
        )
        for copy in (same, *copies)
    ]


class _Struck:
    """Stands where effects are performed, and only keeps what a turn wanted."""

    def __init__(self) -> None:
        self.items: dict[str, Sequence[OutboxItem]] = {}

    def put(self, name: RecordName, record_id: str, items: Sequence[OutboxItem], take: Take) -> None:
        self.items[record_id] = items


async def _book(services: Services, therapist: TherapistRecord) -> bookings.Booking:
    """One visit, from the first press until it is active."""
    struck, alarms = _Struck(), Alarms(services.clock.now, lambda key: None)
    turns = Turns(services.by_kind(), services.clock.now, alarms, struck, services.tokens.pseudonym)
    await services.therapists.add(therapist)
    conversation_id, offer_id = new_id("c"), new_id("o")

    async def take(event: Any) -> Conversation:
        outcome = await turns.take(CONVERSATION, conversation_id, event, by="clock")
        items = struck.items.pop(conversation_id)
        for item in items:
            if isinstance(item.effect, TellBooking):
                await turns.take(BOOKING, item.effect.booking_id, item.effect.event, by="conversation")
                told = struck.items.pop(item.effect.booking_id, ())
                await services.bookings.performed(item.effect.booking_id, [each.id for each in told])
        await services.conversations.performed(conversation_id, [item.id for item in items])
        return outcome.record

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
