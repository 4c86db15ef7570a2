"""The therapist's commands, on whichever transport they come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.errors import Refusal
from bot.feeds.feed import ContentDiffers
from bot.identity import Audience, new_id, therapist_feed
from bot.live.signals import person_of
from bot.schemas.fields import CommandPayload
from bot.schemas.parsing import parse
from bot.schemas.signals import TabPresence
from bot.schemas.therapist import (
    THERAPIST_COMMANDS,
    AcceptOffer,
    Availability,
    CancelBooking,
    DeclineOffer,
    Progress,
    RoomDelivered,
    RoomMessage,
    RoomRead,
    RoomTyping,
)
from bot.services import Services
from bot.store.entries import Entry
from bot.store.kinds import CONVERSATION, SEARCH
from bot.turns.turns import Sender
from bot.web.sessions.answers import Answer, answered, command_of, refusal, take_and_settle
from bot.web.sessions.attendance import Attendance
from bot.web.sessions.guest import post_message, said_before, say
from conversations import events as on_conversation
from conversations.booking import Booking, Status
from conversations.ids import derived_id
from conversations.replies import N_
from matching import events as on_search
from matching.records import Answer as OfferAnswer
from matching.records import Search

THERAPIST: Audience = "therapist"


def _done(_: Any) -> Answer:
    return {"ok": True}


@dataclass(frozen=True, slots=True)
class Caller:
    """Which therapist sends. `open_rooms` are the conversations that their connection reads, by booking.

    `attendance` is that connection's, where it lasts longer than the command.
    """

    therapist_id: str
    open_rooms: Mapping[str, str] = field(default_factory=dict)
    attendance: Attendance | None = None

    @property
    def sender(self) -> Sender:
        return Sender(THERAPIST, self.therapist_id)


class TherapistCommands:
    """`await execute(caller, name, payload)` gives the ack, or raises `Refusal`.

    What belongs to somebody else is answered exactly like what does not exist.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def execute(self, caller: Caller, name: str, payload: Any) -> Answer:
        row = THERAPIST_COMMANDS.get(name)
        if row is None:
            raise Refusal("invalid", N_("This command is not known."), fields={"command": N_("is not known")})
        command = parse(row.payload, payload, region=self._services.settings.default_region)
        return await _HANDLERS[name](self, caller, command)

    async def _availability(self, caller: Caller, payload: Availability) -> Answer:
        """Who goes offline is not asked any more, and takes back the offers that are open."""
        therapist_id = caller.therapist_id
        feed = therapist_feed(therapist_id)
        entry_id = derived_id("e", therapist_id, payload.client_id or new_id("a"))
        if payload.client_id and (entry := await self._services.feeds.known(entry_id)):
            if entry.data["available"] != payload.available:
                raise ContentDiffers()
            return {"ok": True, "available": payload.available}
        position = None
        if payload.latitude is not None and payload.longitude is not None:
            position = (payload.latitude, payload.longitude)
        await self._services.therapists.set_available(therapist_id, payload.available, position)
        if not payload.available:
            for search in await self._services.agendas.open_searches(therapist_id):
                for offer in (each for each in search.open_offers() if each.therapist_id == therapist_id):
                    event = on_search.OfferDeclined(offer.offer_id, therapist_id, "went offline")
                    await self._services.turns.take(SEARCH, search.id, event, by=caller.sender)
        await self._services.feeds.append(feed, entry_id, "state", {"available": payload.available})
        await self._tell_what_counts(therapist_id, payload.available, entry_id)
        return {"ok": True, "available": payload.available}

    async def _tell_what_counts(self, therapist_id: str, told: bool, entry_id: str) -> None:
        """Of two switches pressed at once the other may have been taken last and told first: the last line is right."""
        while (therapist := await self._services.therapists.get(therapist_id)) and therapist.is_available is not told:
            told, entry_id = therapist.is_available, derived_id("e", entry_id)
            await self._services.feeds.append(therapist_feed(therapist_id), entry_id, "state", {"available": told})

    async def _accept_offer(self, caller: Caller, payload: AcceptOffer) -> Answer:
        therapist_id = caller.therapist_id
        search = await self._search_of(payload.offer_id)

        def judge(record: Search) -> str | None:
            offer = record.offer(payload.offer_id)
            if offer is None or offer.therapist_id != therapist_id:
                return "not_found"
            return None if offer.answer in (OfferAnswer.ACCEPTED, OfferAnswer.GIVEN_BACK) else "offer_expired"

        event = on_search.OfferAccepted(payload.offer_id, therapist_id)
        command = command_of(therapist_id, "accept_offer", payload, _done)
        return await take_and_settle(self._services, SEARCH, search.id, event, command, judge, by=caller.sender)

    async def _decline_offer(self, caller: Caller, payload: DeclineOffer) -> Answer:
        search = await self._search_of(payload.offer_id)
        event = on_search.OfferDeclined(payload.offer_id, caller.therapist_id, payload.reason)
        command = command_of(caller.therapist_id, "decline_offer", payload, _done)
        return answered(await self._services.turns.take(SEARCH, search.id, event, command, by=caller.sender), _done)

    async def _progress(self, caller: Caller, payload: Progress) -> Answer:
        event = on_conversation.ProgressMade(payload.booking_id, caller.therapist_id, payload.step, payload.minutes)
        return await self._take(caller, "progress", event, payload, payload.booking_id)

    async def _cancel_booking(self, caller: Caller, payload: CancelBooking) -> Answer:
        event = on_conversation.TherapistWithdrew(payload.booking_id, caller.therapist_id, payload.reason)
        return await self._take(caller, "cancel_booking", event, payload, payload.booking_id)

    def post(self, therapist_id: str, open_rooms: Mapping[str, str], payload: Any) -> asyncio.Future[Entry] | None:
        """A message of a therapist into a room that is open; None where it has to be looked up."""
        message = parse(RoomMessage, payload)
        conversation_id = open_rooms.get(message.booking_id)
        if conversation_id is None:
            return None
        return post_message(self._services, conversation_id, therapist_id, "therapist", message)

    async def _message(self, caller: Caller, payload: RoomMessage) -> Answer:
        conversation_id, is_open = await self._room(caller, payload.booking_id)
        answer = say if is_open else said_before
        return await answer(self._services, conversation_id, caller.therapist_id, THERAPIST, payload)

    async def _typing(self, caller: Caller, payload: RoomTyping) -> Answer:
        conversation_id, is_open = await self._room(caller, payload.booking_id)
        if is_open:
            self._services.signals.set_typing(conversation_id, THERAPIST, payload.on)
        return {"ok": True}

    async def _delivered(self, caller: Caller, payload: RoomDelivered) -> Answer:
        conversation_id, is_open = await self._room(caller, payload.booking_id)
        if is_open:
            await self._services.receipts.check(conversation_id, payload.seq)
            self._services.signals.set_delivered(conversation_id, THERAPIST, payload.seq)
        return {"ok": True}

    async def _read(self, caller: Caller, payload: RoomRead) -> Answer:
        conversation_id, is_open = await self._room(caller, payload.booking_id)
        if is_open:
            await self._services.receipts.read(conversation_id, THERAPIST, payload.seq)
        return {"ok": True}

    async def _presence(self, caller: Caller, payload: TabPresence) -> Answer:
        if caller.attendance is not None:
            caller.attendance.set_away(payload.away)
        else:
            self._services.signals.set_away(person_of(THERAPIST, caller.therapist_id), payload.away)
        return {"ok": True}

    async def _room(self, caller: Caller, booking_id: str) -> tuple[str, bool]:
        """The conversation of a booking of theirs, and whether the visit is on: after it nobody hears a signal."""
        conversation_id = caller.open_rooms.get(booking_id)
        if conversation_id is not None:
            return conversation_id, True
        stored = await self._services.bookings.load(booking_id)
        if stored is None or not _is_theirs(stored.record, caller.therapist_id):
            raise refusal("not_found")
        return stored.record.conversation_id, stored.record.state is Status.ACTIVE

    async def _take(
        self, caller: Caller, name: str, event: on_conversation.Event, payload: CommandPayload, booking_id: str
    ) -> Answer:
        stored = await self._services.bookings.load(booking_id)
        if stored is None:
            raise refusal("not_found")
        command = command_of(caller.therapist_id, name, payload, _done)
        outcome = await self._services.turns.take(
            CONVERSATION, stored.record.conversation_id, event, command, by=caller.sender
        )
        if outcome.repeated is None and not _is_theirs(stored.record, caller.therapist_id):
            raise refusal("not_found")
        return answered(outcome, _done)

    async def _search_of(self, offer_id: str) -> Search:
        found = await self._services.searches.find({"offers.offer_id": {"$eq": offer_id}}, limit=1)
        if not found:
            raise refusal("not_found")
        return found[0]


def _is_theirs(booking: Booking, therapist_id: str) -> bool:
    return booking.therapist is not None and booking.therapist.id == therapist_id


# Functions and not methods of one instance, which would know it in turn: an instance is made for a single command.
_HANDLERS: Mapping[str, Callable[[TherapistCommands, Caller, Any], Awaitable[Answer]]] = {
    name: getattr(TherapistCommands, f"_{name}") for name in THERAPIST_COMMANDS
}
