"""Every collection as its own subject: what a process can read and write, before anything decides anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bot.settings.settings import Settings
from bot.store.agendas import Agendas
from bot.store.api_keys import ApiKeys
from bot.store.breakers import Breakers
from bot.store.catalogue import Catalogue
from bot.store.devices import Devices
from bot.store.driver import Database
from bot.store.heartbeats import Heartbeats
from bot.store.idempotency import Idempotency
from bot.store.inbox import Inbox
from bot.store.kinds import BOOKING, CONVERSATION, EXTERNAL_BOOKING, SEARCH, R, RecordKind, RecordName
from bot.store.notifications import Keeping, Notifications
from bot.store.open_searches import OpenSearches
from bot.store.preferences import PreferencesStore
from bot.store.read_marks import ReadMarks
from bot.store.records import Records
from bot.store.redactions import Redactions
from bot.store.reservations import Reservations
from bot.store.rooms import Rooms
from bot.store.sign_ins import SignIns
from bot.store.therapists import Therapists
from bot.store.tickets import Tickets
from bot.store.webhooks import Webhooks
from conversations.booking import Booking
from conversations.conversation import Conversation
from conversations.external_booking import ExternalBooking
from matching.records import Search


@dataclass(slots=True, kw_only=True)
class Stores:
    """The records change by turns alone; see `bot.turns.turns`."""

    conversations: Records[Conversation]
    searches: Records[Search]
    bookings: Records[Booking]
    external_bookings: Records[ExternalBooking]
    rooms: Rooms
    agendas: Agendas
    read_marks: ReadMarks
    redactions: Redactions
    catalogue: Catalogue
    therapists: Therapists
    reservations: Reservations
    sign_ins: SignIns
    tickets: Tickets
    devices: Devices
    preferences: PreferencesStore
    notifications: Notifications
    breakers: Breakers
    webhooks: Webhooks
    inbox: Inbox
    api_keys: ApiKeys
    idempotency: Idempotency
    heartbeats: Heartbeats
    open_searches: OpenSearches

    def by_kind(self) -> dict[RecordName, Records[Any]]:
        """Where the records of each kind are kept."""
        every = (self.conversations, self.searches, self.bookings, self.external_bookings)
        return {records.kind.name: records for records in every}


def _records(database: Database, kind: RecordKind[R, Any]) -> Records[R]:
    return Records(database[kind.collection], kind)


def stores_of(database: Database, settings: Settings) -> Stores:
    bookings = _records(database, BOOKING)
    searches = _records(database, SEARCH)
    conversations = _records(database, CONVERSATION)
    return Stores(
        conversations=conversations,
        searches=searches,
        bookings=bookings,
        external_bookings=_records(database, EXTERNAL_BOOKING),
        rooms=Rooms(database["entries"]),
        agendas=Agendas(bookings, searches),
        read_marks=ReadMarks(database["entries"]),
        redactions=Redactions(database["entries"]),
        catalogue=Catalogue(database["services"]),
        therapists=Therapists(database["therapists"]),
        reservations=Reservations(database["reservations"]),
        sign_ins=SignIns(database["sign_ins"]),
        tickets=Tickets(database["tickets"]),
        devices=Devices(database["devices"]),
        preferences=PreferencesStore(database["preferences"]),
        notifications=Notifications(database["notifications"], keeping_of(settings)),
        breakers=Breakers(database["breakers"]),
        webhooks=Webhooks(database["webhook_endpoints"], database["webhook_deliveries"]),
        inbox=Inbox(database["inbox"]),
        api_keys=ApiKeys(database["api_keys"]),
        idempotency=Idempotency(database["idempotency"]),
        heartbeats=Heartbeats(database["heartbeats"]),
        open_searches=OpenSearches(database["open_searches"], conversations),
    )


def keeping_of(settings: Settings) -> Keeping:
    """How long the ledger is kept."""
    return Keeping(timedelta(days=settings.keep_notifications_days), timedelta(days=settings.keep_reminders_days))
