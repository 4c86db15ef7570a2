"""The guest's commands, on whichever transport they come: validate, gather what the decision needs, take the turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.errors import Refusal
from bot.feeds.feed import ContentDiffers, NewEntry
from bot.identity import Audience, conversation_feed
from bot.live.signals import person_of
from bot.schemas.fields import CommandPayload
from bot.schemas.guest import (
    GUEST_COMMANDS,
    AcceptTherapist,
    Book,
    Cancel,
    ConfirmService,
    FindAnother,
    ForgetMe,
    Message,
    Rate,
    SearchAgain,
)
from bot.schemas.parsing import parse
from bot.schemas.signals import Delivered, Read, TabPresence, Typing
from bot.schemas.therapist import RoomMessage
from bot.services import Services, terms_of
from bot.store.entries import Entry
from bot.store.kinds import CONVERSATION
from bot.turns.turns import Command, Sender
from bot.web.sessions.answers import Answer, answered, command_of, refusal, take_and_settle
from bot.web.sessions.attendance import Attendance
from bot.web.sessions.open_searches import check_open_searches
from conversations import events as on
from conversations.conversation import Conversation, State
from conversations.ids import derived_id
from conversations.replies import N_
from conversations.values import Contact, Locale, Location, Rating

GUEST: Audience = "guest"


@dataclass(frozen=True, slots=True)
class Guest:
    """Who sends: the conversation that their token opens, and the language and time zone of their screen.

    `is_active` is what their connection last read on the feed, where it knows; it saves a look at the record.
    `attendance` is that connection's, where it lasts longer than the command.
    """

    conversation_id: str
    locale: Locale
    timezone: str | None = None
    is_active: bool = False
    attendance: Attendance | None = None
    address: str = ""

    @property
    def sender(self) -> Sender:
        return Sender(GUEST, self.conversation_id)


def _standing(conversation: Conversation) -> Answer:
    """The ack of a command that moves the conversation."""
    return {
        "ok": True,
        "state": conversation.state.value,
        "revision": conversation.revision,
        "booking_id": conversation.booking_id,
    }


class GuestCommands:
    """`await execute(guest, name, payload)` gives the ack, or raises `Refusal`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def execute(self, guest: Guest, name: str, payload: Any) -> Answer:
        row = GUEST_COMMANDS.get(name)
        if row is None:
            raise Refusal("invalid", N_("This command is not known."), fields={"command": N_("is not known")})
        command = parse(row.payload, payload, region=self._services.settings.default_region)
        return await _HANDLERS[name](self, guest, command)

    async def _book(self, guest: Guest, payload: Book) -> Answer:
        catalogue = self._services.catalogue
        service = await (catalogue.get(payload.service) if payload.service else catalogue.first())
        if service is None:
            raise Refusal("invalid", N_("This service is not offered."), fields={"service": N_("is not known")})
        therapist = None
        if payload.therapist_id:
            therapist = await self._services.therapists.get(payload.therapist_id)
            if therapist is None:
                raise Refusal("invalid", N_("We can't find that."), fields={"therapist_id": N_("is not known")})
        event = on.BookPressed(
            service=service,
            source=payload.source,
            terms=terms_of(self._services.settings),
            locale=guest.locale,
            timezone=guest.timezone,
            therapist=therapist.as_guests_see() if therapist else None,
        )
        return await self._take(guest, "book", event, payload)

    async def _confirm_service(self, guest: Guest, payload: ConfirmService) -> Answer:
        await check_open_searches(self._services, guest.conversation_id, payload.phone, guest.address)
        event = on.ServiceConfirmed(
            revision=payload.revision,
            duration=payload.duration,
            location=Location(payload.location.address, payload.location.latitude, payload.location.longitude),
            contact=Contact(payload.name, payload.phone, payload.email),
            gender_preference=payload.gender_preference,
            notes=payload.notes,
        )
        try:
            return await self._take(guest, "confirm_service", event, payload)
        except Refusal as refused:
            if refused.code == "invalid" and not refused.fields:
                refused.fields["duration"] = N_("is not one of the choices")
            raise

    async def _accept_therapist(self, guest: Guest, payload: AcceptTherapist) -> Answer:
        event = on.TherapistAccepted(payload.revision, payload.offer_id)

        def judge(conversation: Conversation) -> str | None:
            if conversation.state in (State.CHOOSING, State.ACTIVE):
                return None  # booked, or still being reserved: the feed tells
            return "slot_taken" if conversation.state is State.SEARCHING else "offer_expired"

        command = command_of(GUEST, "accept_therapist", payload, _standing)
        try:
            return await take_and_settle(
                self._services, CONVERSATION, guest.conversation_id, event, command, judge, by=guest.sender
            )
        except Refusal as refused:
            await self._show_present(guest, payload, refused)
            raise

    async def _find_another(self, guest: Guest, payload: FindAnother) -> Answer:
        event = on.AnotherWanted(payload.revision, payload.offer_id)
        return await self._take(guest, "find_another", event, payload)

    async def _search_again(self, guest: Guest, payload: SearchAgain) -> Answer:
        stored = await self._services.conversations.load(guest.conversation_id)
        visit = stored.record.visit if stored else None
        if visit is not None and visit.contact is not None:
            await check_open_searches(self._services, guest.conversation_id, visit.contact.phone, guest.address)
        return await self._take(guest, "search_again", on.SearchAgainPressed(payload.revision), payload)

    async def _cancel(self, guest: Guest, payload: Cancel) -> Answer:
        return await self._take(guest, "cancel", on.Cancelled("guest", payload.reason), payload)

    def post(self, conversation_id: str, payload: Any) -> asyncio.Future[Entry]:
        """A message of a guest whose visit is on."""
        return post_message(self._services, conversation_id, GUEST, "guest", parse(Message, payload))

    async def _rate(self, guest: Guest, payload: Rate) -> Answer:
        event = on.VisitRated(Rating(payload.stars, payload.comment or None), payload.revision)
        return await self._take(guest, "rate", event, payload)

    async def _forget_me(self, guest: Guest, payload: ForgetMe) -> Answer:
        try:
            return await self._take(guest, "forget_me", on.ErasureRequested(), payload)
        except Refusal as refused:
            if refused.code == "not_now":
                raise Refusal("not_now", THERAPIST_IS_THERE) from None
            raise

    async def _message(self, guest: Guest, payload: Message) -> Answer:
        if not guest.is_active:
            stored = await self._services.conversations.load(guest.conversation_id)
            if stored is None or stored.record.state is not State.ACTIVE:
                return await said_before(self._services, guest.conversation_id, GUEST, "guest", payload)
        return await say(self._services, guest.conversation_id, GUEST, "guest", payload)

    async def _typing(self, guest: Guest, payload: Typing) -> Answer:
        self._services.signals.set_typing(guest.conversation_id, GUEST, payload.on)
        return {"ok": True}

    async def _delivered(self, guest: Guest, payload: Delivered) -> Answer:
        if guest.attendance is None or guest.attendance.is_in_visit:
            await self._services.receipts.check(guest.conversation_id, payload.seq)
            self._services.signals.set_delivered(guest.conversation_id, GUEST, payload.seq)
        return {"ok": True}

    async def _read(self, guest: Guest, payload: Read) -> Answer:
        await self._services.receipts.read(guest.conversation_id, GUEST, payload.seq)
        return {"ok": True}

    async def _presence(self, guest: Guest, payload: TabPresence) -> Answer:
        if guest.attendance is not None:
            guest.attendance.set_away(payload.away)
        else:
            self._services.signals.set_away(person_of(GUEST, guest.conversation_id), payload.away)
        return {"ok": True}

    async def _take(self, guest: Guest, name: str, event: on.Event, payload: CommandPayload) -> Answer:
        command = command_of(GUEST, name, payload, _standing)
        outcome = await self._services.turns.take(CONVERSATION, guest.conversation_id, event, command, by=guest.sender)
        try:
            return answered(outcome, _standing)
        except Refusal as refused:
            await self._show_present(guest, payload, refused)
            raise

    async def _show_present(self, guest: Guest, payload: CommandPayload, refused: Refusal) -> None:
        """Who pressed an old card gets the present one again, once however often the command is sent.

        That is a turn of its own: written straight to the feed, the line could overtake those of the last moves.
        """
        if refused.code == "stale":
            shown = Command(f"shown:{payload.client_id}", "", lambda _: {})
            await self._services.turns.take(
                CONVERSATION, guest.conversation_id, on.ScreenWanted(), shown, by=guest.sender
            )


def _message_of(conversation_id: str, sender: str, party: str, payload: Message | RoomMessage) -> NewEntry:
    """The same `client_id` of the same sender is the same entry."""
    return NewEntry(
        derived_id("e", conversation_id, sender, payload.client_id),
        "message",
        {"from": party, "text": payload.text, "client_id": payload.client_id},
        is_said=True,
    )


async def said_before(
    services: Services, conversation_id: str, sender: str, party: str, payload: Message | RoomMessage
) -> Answer:
    """The first answer of a message that came before the visit ended; `not_now` for one that did not."""
    message = _message_of(conversation_id, sender, party, payload)
    entry = await services.feeds.known(message.id)
    if entry is None:
        raise refusal("not_now")
    if not message.agrees_with(entry):
        raise ContentDiffers()
    return said(entry)


async def say(
    services: Services, conversation_id: str, sender: str, party: str, payload: Message | RoomMessage
) -> Answer:
    """Put a message on the conversation's feed: durable before it is acked, and once however often it is sent."""
    return said(await post_message(services, conversation_id, sender, party, payload))


def post_message(
    services: Services, conversation_id: str, sender: str, party: str, payload: Message | RoomMessage
) -> asyncio.Future[Entry]:
    """`say` for who has no task to wait in; `said` makes the ack of what it brings."""
    return services.feeds.post(conversation_feed(conversation_id), _message_of(conversation_id, sender, party, payload))


def said(entry: Entry) -> Answer:
    return {"ok": True, "seq": entry.seq, "id": entry.id}


THERAPIST_IS_THERE = N_("Your therapist is with you. Ask again when the visit is over, or cancel it first.")


# Functions and not methods of one instance, which would know it in turn: an instance is made for a single command.
_HANDLERS: Mapping[str, Callable[[GuestCommands, Guest, Any], Awaitable[Answer]]] = {
    name: getattr(GuestCommands, f"_{name}") for name in GUEST_COMMANDS
}
