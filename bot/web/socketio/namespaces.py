"""The namespaces `/guest` and `/therapist` of Socket.IO: who comes in, what they see, and their commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bot.access.connections import RETURN_AFTER_S, Release
from bot.access.limits import Asker
from bot.identity import Audience, conversation_of, therapist_feed
from bot.live.presence import NOTHING_SEEN
from bot.live.signals import LiveVisit
from bot.schemas.commands import counts_as
from bot.schemas.guest import GUEST_COMMANDS, GuestConnect
from bot.schemas.parsing import parse
from bot.schemas.therapist import THERAPIST_COMMANDS, TherapistConnect
from bot.schemas.views import error_view
from bot.services import Services
from bot.store.driver import PyMongoError
from bot.store.entries import Entry
from bot.store.rooms import is_room_of
from bot.web.sessions.arrivals import Arrival, admit_guest, admit_therapist
from bot.web.sessions.attendance import Attendance
from bot.web.sessions.guest import Guest, GuestCommands, said
from bot.web.sessions.situations import situation_of
from bot.web.sessions.therapist import Caller, TherapistCommands
from bot.web.socketio.door import Post
from bot.web.socketio.packets import encode_event
from bot.web.socketio.readers import Reader
from bot.web.socketio.server import SocketIOServer
from bot.words import negotiate
from conversations.conversation import State
from conversations.values import Locale

GUEST = "/guest"
THERAPIST = "/therapist"

Command = Callable[[str, dict[str, Any]], Awaitable[Mapping[str, Any]]]


@dataclass(slots=True)
class _Visitor:
    """Who is on a connection: `subject` is a conversation's id for guests, a therapist's for therapists."""

    subject: str
    locale: Locale
    reader: Reader
    attendance: Attendance
    unwatch: Callable[[], None]
    asker: Asker
    release: Release
    """Says that this connection is no more, see `OpenConnections.hold`."""
    timezone: str | None = None
    is_active: bool = False
    rooms: dict[str, str] = field(default_factory=dict)
    """The conversations that a therapist reads here, by booking."""
    ended: dict[str, int] = field(default_factory=dict)
    """The lines that were the last of rooms they have read here, by booking."""


class _Doorway:
    """What both namespaces share: visitors by sid, their languages, and errors in these."""

    namespace: str

    def __init__(self, services: Services, server: SocketIOServer) -> None:
        self.services = services
        self.server = server
        self.visitors: dict[str, _Visitor] = {}
        self.arriving: dict[str, Locale] = {}

    async def on_disconnect(self, sid: str, reason: str) -> None:
        visitor = self.visitors.pop(sid, None)
        if visitor is not None:
            visitor.reader.close()
            visitor.attendance.close()
            visitor.unwatch()
            visitor.release()

    def on_error(self, sid: str, error: Exception) -> dict[str, Any]:
        visitor = self.visitors.get(sid)
        # Who is refused at the door is told so in the language they asked for.
        arriving = self.arriving.pop(sid, self.services.settings.default_locale)
        locale = visitor.locale if visitor else arriving
        return error_view(self.services.words, situation_of(error), locale)

    def locale_of(self, wanted: str | None, environ: Mapping[str, Any]) -> Locale:
        return negotiate(wanted, environ.get("HTTP_ACCEPT_LANGUAGE"), self.services.settings.default_locale)

    async def admitted(self, sid: str, locale: Locale, admission: Awaitable[Arrival]) -> Arrival:
        """The arrival; meanwhile a refusal finds the language that it is to be told in."""
        self.arriving[sid] = locale
        try:
            arrival = await admission
        except asyncio.CancelledError:
            self.arriving.pop(sid, None)
            raise
        del self.arriving[sid]
        return arrival

    def welcome(self, sid: str, arrival: Arrival, address: str) -> _Visitor:
        """They stay until `on_disconnect`: until they go, their token is ended, or they have come too often since."""
        bearer, services = arrival.bearer, self.services
        visitor = self.visitors[sid] = _Visitor(
            subject=bearer.subject,
            locale=arrival.locale,
            reader=self.reader(sid, bearer.audience, arrival.locale),
            attendance=Attendance(services.signals, bearer.audience, bearer.subject, partial(self.tell, sid)),
            unwatch=services.access.watch(bearer, partial(self.send_away, sid)),
            asker=Asker(address, bearer.subject),
            release=services.connections.hold(bearer.subject, partial(self.give_way, sid)),
            timezone=arrival.timezone,
        )
        return visitor

    def give_way(self, sid: str) -> None:
        self.send(sid, encode_event(self.namespace, "going_away", {"retry_in_ms": int(RETURN_AFTER_S * 1000)}))
        self.send_away(sid)

    def tell(self, sid: str, name: str, data: dict[str, Any]) -> None:
        self.send(sid, encode_event(self.namespace, name, data))

    def send(self, sid: str, frame: bytes) -> None:
        self.server.emit_encoded((sid,), frame)

    def send_away(self, sid: str) -> None:
        self.services.spawn(self.server.disconnect(sid))

    def reader(self, sid: str, audience: Audience, locale: Locale) -> Reader:
        return Reader(
            namespace=self.namespace,
            audience=audience,
            locale=locale,
            feeds=self.services.feeds,
            words=self.services.words,
            send=self.server.sender(sid),
            ready=partial(self.server.until_room, sid),
        )


class GuestDoor(_Doorway):
    """Anybody may come in: without a token, or with one that does not open anything, a new conversation begins."""

    namespace = GUEST

    def __init__(self, services: Services, server: SocketIOServer) -> None:
        super().__init__(services, server)
        self._commands = GuestCommands(services)

    @property
    def commands(self) -> Mapping[str, Command]:
        return {name: partial(self._execute, name) for name in GUEST_COMMANDS}

    @property
    def posts(self) -> Mapping[str, Post]:
        return {"message": Post(self._post, said)}

    async def _execute(self, name: str, sid: str, payload: dict[str, Any]) -> Mapping[str, Any]:
        visitor = self.visitors[sid]
        self.services.limits.spend(counts_as("guest", name), visitor.asker)
        guest = Guest(
            visitor.subject,
            visitor.locale,
            visitor.timezone,
            visitor.is_active,
            visitor.attendance,
            visitor.asker.address,
        )
        return await self._commands.execute(guest, name, payload)

    def _post(self, sid: str, payload: dict[str, Any]) -> asyncio.Future[Entry] | None:
        visitor = self.visitors[sid]
        if not visitor.is_active:
            return None
        self.services.limits.spend("messages", visitor.asker)
        return self._commands.post(visitor.subject, payload)

    async def on_connect(self, sid: str, environ: Mapping[str, Any], auth: dict[str, Any]) -> None:
        connect = parse(GuestConnect, auth)
        locale = self.locale_of(connect.locale, environ)
        address = environ["REMOTE_ADDR"]
        arrival = await self.admitted(sid, locale, admit_guest(self.services, connect, locale, address))
        visitor = self.welcome(sid, arrival, address)
        visitor.is_active = arrival.snapshot.session["state"] == State.ACTIVE
        snapshot, reader = arrival.snapshot, visitor.reader
        self.send(sid, encode_event(self.namespace, "session", snapshot.session))
        visitor.attendance.enter(snapshot.visits, known_up_to=snapshot.head)
        for feed, cursor in snapshot.cursors.items():
            reader.follow(feed, cursor, on_entry=partial(self._on_entry, visitor))

    @staticmethod
    def _on_entry(visitor: _Visitor, entry: Entry) -> None:
        if entry.type == "state":
            visitor.is_active = entry.data["state"] == State.ACTIVE
            visitor.attendance.see(entry)


class TherapistDoor(_Doorway):
    """Therapists come in with their token; the rooms of their visits open and close while they are here."""

    namespace = THERAPIST

    def __init__(self, services: Services, server: SocketIOServer) -> None:
        super().__init__(services, server)
        self._commands = TherapistCommands(services)

    @property
    def commands(self) -> Mapping[str, Command]:
        return {name: partial(self._execute, name) for name in THERAPIST_COMMANDS}

    @property
    def posts(self) -> Mapping[str, Post]:
        return {"message": Post(self._post, said)}

    async def _execute(self, name: str, sid: str, payload: dict[str, Any]) -> Mapping[str, Any]:
        visitor = self.visitors[sid]
        self.services.limits.spend(counts_as("therapist", name), visitor.asker)
        return await self._commands.execute(Caller(visitor.subject, visitor.rooms, visitor.attendance), name, payload)

    def _post(self, sid: str, payload: dict[str, Any]) -> asyncio.Future[Entry] | None:
        visitor = self.visitors[sid]
        self.services.limits.spend("messages", visitor.asker)
        return self._commands.post(visitor.subject, visitor.rooms, payload)

    async def on_connect(self, sid: str, environ: Mapping[str, Any], auth: dict[str, Any]) -> None:
        connect = parse(TherapistConnect, auth)
        locale = self.locale_of(connect.locale, environ)
        address = environ["REMOTE_ADDR"]
        arrival = await self.admitted(sid, locale, admit_therapist(self.services, connect, locale, address))
        visitor = self.welcome(sid, arrival, address)
        therapist_id, snapshot, reader = visitor.subject, arrival.snapshot, visitor.reader
        visitor.rooms.update(
            {booking["id"]: conversation_of(booking["feed"]) for booking in snapshot.session["bookings"]}
        )
        self.send(sid, encode_event(self.namespace, "session", snapshot.session))
        visitor.attendance.enter(snapshot.visits)
        for feed, cursor in snapshot.cursors.items():
            watch = self._on_own_entry if feed == therapist_feed(therapist_id) else self._on_room_entry
            reader.follow(feed, cursor, on_entry=partial(watch, sid))

    def _on_own_entry(self, sid: str, entry: Entry) -> None:
        """A booking that became active opens its room on this connection."""
        booking = entry.data.get("booking") if entry.type == "booking" else None
        if booking and booking["status"] == "active":
            self.services.spawn(self._open_room(sid, booking["id"]))

    def _on_room_entry(self, sid: str, entry: Entry) -> None:
        """The line that ends the visit is the last that its therapist reads."""
        visitor = self.visitors.get(sid)
        if visitor and entry.type == "state" and not is_room_of(entry.data, visitor.subject):
            visitor.reader.leave(entry.feed)
            visitor.rooms.pop(entry.data["booking_id"], None)
            visitor.ended[entry.data["booking_id"]] = entry.seq
            visitor.attendance.leave(entry.data["booking_id"])

    async def _open_room(self, sid: str, booking_id: str) -> None:
        """Read the visit's conversation on this connection from its first line on; an outage only delays it."""
        while (visitor := self.visitors.get(sid)) is not None:
            try:
                room = await self.services.rooms.of(booking_id, visitor.subject)
            except (PyMongoError, OSError):
                await asyncio.sleep(self.services.settings.rhythms.streams.read_again_after_s)
                continue
            if room is None or room.closes_at is not None or sid not in self.visitors:
                return
            # What was read may be older than the end of the room, which this connection has heard meanwhile.
            if room.opens_at > visitor.ended.get(booking_id, 0):
                conversation_id = visitor.rooms[booking_id] = conversation_of(room.feed)
                visitor.attendance.enter({LiveVisit(conversation_id, booking_id, visitor.subject): NOTHING_SEEN})
                visitor.reader.follow(room.feed, room.opens_at - 1, on_entry=partial(self._on_room_entry, sid))
            return
