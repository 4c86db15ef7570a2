"""The one place that builds what the program works with: clients, stores, feeds, turns and clocks."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from bot.access import Access
from bot.alarms import Alarms, Key
from bot.announcements import Announcements
from bot.appointments import Appointments
from bot.auth import Tokens
from bot.bus import Bus
from bot.cancelling import cancel
from bot.clock import Clock
from bot.connections import OpenConnections
from bot.delivery_reports import DeliveryReports
from bot.desk import Desk, providers_of
from bot.erasure import Erasure
from bot.feeds import Feeds
from bot.inbox import InboxWork
from bot.incoming import Incoming
from bot.jobs import Jobs
from bot.limits import RateLimits
from bot.loop_lag import LoopLag
from bot.news_desk import NewsDesk
from bot.noticeboard import Noticeboard
from bot.notification_news import NotificationNews
from bot.outboxes import Outboxes
from bot.perform import Perform
from bot.presence import Rules
from bot.receipts import Receipts
from bot.settings import Settings
from bot.signals import Signals
from bot.store import driver, indexes
from bot.store.api_keys import ApiKeys
from bot.store.breakers import Breakers
from bot.store.catalogue import Catalogue
from bot.store.devices import Devices
from bot.store.entries import Entries
from bot.store.idempotency import Idempotency
from bot.store.inbox import Inbox
from bot.store.notifications import Keeping, Notifications
from bot.store.preferences import PreferencesStore
from bot.store.read_marks import ReadMarks
from bot.store.records import Records
from bot.store.redactions import Redactions
from bot.store.reservations import Reservations
from bot.store.rooms import Rooms
from bot.store.sign_ins import SignIns
from bot.store.therapists import Therapists
from bot.store.tickets import Tickets
from bot.store.token_families import TokenFamilies
from bot.store.webhooks import Webhooks
from bot.sweep import RINGS, Sweep
from bot.turns import Kind, Room, Turns
from bot.unread import Unread
from bot.unsubscribing import Unsubscribing
from bot.vitals import Vitals
from bot.words import Words
from conversations import booking, external_booking, machine
from conversations import effects as conversation_effects
from conversations.notices import Ladder
from conversations.values import Terms
from matching import effects as search_effects
from matching import search
from matching.policy import Policy

log = structlog.get_logger()

# When the process ends: for the effects that are being performed. The sweeps of others perform what is left.
EFFECTS_FINISH_S = 0.5


@dataclass(slots=True)
class Services:
    """Everything a door needs. One per process."""

    settings: Settings
    database: driver.Database
    clock: Clock
    words: Words
    tokens: Tokens
    access: Access
    rooms: Rooms
    feeds: Feeds
    bus: Bus
    limits: RateLimits
    connections: OpenConnections
    signals: Signals
    receipts: Receipts
    jobs: Jobs
    catalogue: Catalogue
    therapists: Therapists
    reservations: Reservations
    sign_ins: SignIns
    api_keys: ApiKeys
    idempotency: Idempotency
    desk: Desk
    news_desk: NewsDesk
    preferences: PreferencesStore
    unsubscribing: Unsubscribing
    webhooks: Webhooks
    inbox: Inbox
    inbox_work: InboxWork
    tickets: Tickets
    devices: Devices
    conversations: Records[machine.Conversation]
    searches: Records[search.Search]
    bookings: Records[booking.Booking]
    notifications: Notifications
    notification_news: NotificationNews
    delivery_reports: DeliveryReports
    breakers: Breakers
    appointments: Appointments
    announcements: Announcements
    unread: Unread
    external_bookings: Records[external_booking.ExternalBooking]
    turns: Turns
    outboxes: Outboxes
    alarms: Alarms
    sweep: Sweep
    loop_lag: LoopLag
    vitals: Vitals
    epoch: str
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process has been told to end: streams say goodbye, and nobody is sent here any more."""
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each command over HTTP or a plain WebSocket was answered with which code, or `ok`."""
    unsigned_webhooks: Counter[str] = field(default_factory=Counter)
    """How often a webhook was refused for its signature, by whose it should have been."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def is_stopping(self) -> bool:
        return self.stopping.is_set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside everything else; it is cancelled when the process ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _stop(self) -> None:
        await cancel(*self._tasks)


def policy_of(settings: Settings) -> Policy:
    """The rules under which searches start."""
    return Policy(
        answer_s=settings.answer_s,
        choose_s=settings.choose_s,
        direct_s=settings.direct_s,
        radii_km=settings.radii_km,
        wave_size=settings.wave_size,
        # Short countdowns, as in tests and demonstrations, leave proportionally less time to answer.
        look_again_s=min(5.0, settings.answer_s / 4),
        shortest_answer_s=min(5.0, settings.answer_s / 4),
    )


def terms_of(settings: Settings) -> Terms:
    """The rules under which conversations open a booking."""
    return Terms(
        answer_s=settings.answer_s,
        choose_s=settings.choose_s,
        direct_s=settings.direct_s,
        form_s=settings.form_s,
        no_therapist_s=settings.idle_no_therapist_s,
        arrival_s=settings.arrival_s,
        max_attempts=settings.max_attempts,
        commission_basis_points=settings.commission_basis_points,
        buffer_minutes=settings.reservation_buffer_minutes,
    )


def rules_of(settings: Settings) -> Rules:
    """The times of the live signals."""
    return Rules(settings.typing_s, settings.presence_grace_s, settings.presence_beat_s)


def keeping_of(settings: Settings) -> Keeping:
    """How long the ledger is kept."""
    return Keeping(timedelta(days=settings.keep_notifications_days), timedelta(days=settings.keep_reminders_days))


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[driver.Database]:
    """The database alone, for commands that need nothing else."""
    assert settings.mongodb_uri is not None, "the caller has started servers or was given their addresses"
    client = driver.connect(settings.mongo_driver, settings.mongodb_uri)
    try:
        yield driver.read_database(client, settings.database)
    finally:
        await driver.close(client)


@asynccontextmanager
async def running(settings: Settings, *, with_sweep: bool = True) -> AsyncIterator[Services]:
    """Services with their clocks running; leaving stops them in the order in which they lean on each other."""
    async with connected(settings) as database:
        services = await build(settings, database)
        async with services.bus, services.feeds, services.limits, services.signals:
            services.spawn(services.clock.follow())
            services.spawn(services.access.follow())
            services.spawn(services.loop_lag.follow())
            if with_sweep:
                # Sweep first, then serve: what became due while nobody was here is rung before anything new.
                await services.sweep.once()
                services.spawn(services.sweep.run())
                services.spawn(services.inbox_work.run())
            try:
                yield services
            finally:
                services.alarms.stop()
                await services.vitals.stop()
                await services._stop()
                await services.outboxes.close(EFFECTS_FINISH_S)
                services.jobs.close()


async def build(settings: Settings, database: driver.Database) -> Services:
    """Services whose clocks do not run, as they are enough for a job; `running` makes them run."""
    assert settings.redis_url is not None, "the caller has started servers or was given their addresses"
    clock = Clock(database)
    await clock.measure()
    entries = Entries(database["entries"])
    epoch = await _epoch(database)
    bus = Bus(settings.redis_url, namespace=epoch, now=clock.now)
    feeds = Feeds(entries, bus, clock.now)
    signals = Signals(Noticeboard(settings.redis_url, namespace=epoch), bus, clock.now, rules_of(settings))
    jobs = Jobs(settings.redis_url)
    therapists = Therapists(database["therapists"])
    reservations = Reservations(database["reservations"])
    devices = Devices(database["devices"])
    tokens = Tokens(settings.secret, clock.now)
    access = Access(tokens, TokenFamilies(database["token_families"]), bus, clock.now, feeds.forget)
    conversations = Records(database["conversations"], machine.Conversation, conversation_effects.Effect)
    searches = Records(database["searches"], search.Search, search_effects.Effect)
    bookings = Records(database["bookings"], booking.Booking, conversation_effects.Effect)
    external_bookings = Records(
        database["external_bookings"], external_booking.ExternalBooking, conversation_effects.Effect
    )
    kinds: dict[Room, Kind] = {
        "conversation": Kind(conversations, machine.decide),
        "search": Kind(searches, search.decide),
        "booking": Kind(bookings, booking.decide),
        "external_booking": Kind(external_bookings, external_booking.decide),
    }
    appointments = Appointments(
        bookings,
        external_bookings,
        conversations,
        therapists,
        brand=settings.brand,
        locale=settings.default_locale,
        timezone=settings.default_timezone,
    )
    notifications = Notifications(database["notifications"], keeping_of(settings))
    catalogue = Catalogue(database["services"])
    webhooks = Webhooks(database["webhook_endpoints"], database["webhook_deliveries"])
    notification_news = NotificationNews(webhooks, clock.now)
    breakers = Breakers(database["breakers"])
    ladder = Ladder(settings.reminders_customer, settings.reminders_therapist)
    announcements = Announcements(appointments, notifications, catalogue, devices, webhooks, feeds, clock.now, ladder)
    preferences = PreferencesStore(database["preferences"])
    perform = Perform(
        feeds=feeds,
        bookings=bookings,
        therapists=therapists,
        reservations=reservations,
        jobs=jobs,
        access=access,
        erasure=Erasure(
            conversations, bookings, searches, Redactions(database["entries"]), devices, preferences, access
        ),
        announcements=announcements,
        policy=policy_of(settings),
        is_at_work=signals.is_at_work,
        now=clock.now,
        arrival_s=settings.arrival_s,
        buffer_minutes=settings.reservation_buffer_minutes,
    )
    outboxes = Outboxes(kinds, perform)
    alarms = Alarms(clock.now, lambda key: _ring(services, key))
    turns = Turns(kinds, clock.now, alarms, outboxes, tokens.pseudonym)
    perform.use(turns)
    inbox = Inbox(database["inbox"])
    incoming = Incoming(settings, turns, bookings, external_bookings, preferences, clock.now)
    limits = RateLimits(settings, settings.redis_url, namespace=epoch)
    sweep = Sweep(kinds, turns, outboxes, clock.now, every_s=settings.sweep_s)
    loop_lag = LoopLag()
    services = Services(
        settings=settings,
        database=database,
        clock=clock,
        words=Words(),
        tokens=tokens,
        access=access,
        rooms=Rooms(database["entries"]),
        feeds=feeds,
        bus=bus,
        limits=limits,
        connections=OpenConnections(
            per_address=settings.connections_per_address, per_token=settings.connections_per_token
        ),
        signals=signals,
        receipts=Receipts(feeds, ReadMarks(database["entries"])),
        jobs=jobs,
        catalogue=catalogue,
        therapists=therapists,
        reservations=reservations,
        sign_ins=SignIns(database["sign_ins"]),
        api_keys=ApiKeys(database["api_keys"]),
        idempotency=Idempotency(database["idempotency"]),
        desk=Desk(settings, notifications, breakers, inbox, clock.now),
        news_desk=NewsDesk(settings, turns, outboxes, bookings, notifications, clock.now),
        preferences=preferences,
        webhooks=webhooks,
        unsubscribing=Unsubscribing(settings.secret, settings.public_url),
        inbox=inbox,
        inbox_work=InboxWork(inbox, incoming.handlers(), clock.now, every_s=settings.sweep_s),
        tickets=Tickets(database["tickets"]),
        devices=devices,
        conversations=conversations,
        searches=searches,
        bookings=bookings,
        notifications=notifications,
        notification_news=notification_news,
        delivery_reports=DeliveryReports(notifications, breakers, notification_news, clock.now),
        breakers=breakers,
        appointments=appointments,
        announcements=announcements,
        unread=Unread(
            bookings,
            ReadMarks(database["entries"]),
            notifications,
            signals,
            clock.now,
            after=timedelta(seconds=settings.unread_after_s),
            every_s=settings.unread_look_s,
        ),
        external_bookings=external_bookings,
        turns=turns,
        outboxes=outboxes,
        alarms=alarms,
        sweep=sweep,
        loop_lag=loop_lag,
        vitals=Vitals(
            database,
            kinds,
            bus=bus,
            limits=limits,
            jobs=jobs,
            sweep=sweep,
            loop_lag=loop_lag,
            notifications=notifications,
            breakers=breakers,
            providers=providers_of(settings),
            now=clock.now,
        ),
        epoch=epoch,
    )
    return services


def _ring(services: Services, key: Key) -> None:
    room, record_id = key
    if room in RINGS:
        services.spawn(services.sweep.ring(room, record_id))  # type: ignore[arg-type]  # keys are made of rooms


async def _epoch(database: driver.Database) -> str:
    """Which history the feeds belong to: a database restored from a backup is given another epoch by its operator."""
    fresh = {"$setOnInsert": {"value": f"{random.SystemRandom().getrandbits(64):016x}"}}
    document = await database["meta"].find_one_and_update({"_id": "epoch"}, fresh, upsert=True, return_document=True)
    value: str = document["value"]
    return value


async def migrate(settings: Settings) -> None:
    """Build the indexes; doing it again changes nothing."""
    async with connected(settings) as database:
        await indexes.build(database)
