"""The one place that builds what the program works with: clients, stores, feeds, turns and clocks."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

import structlog

from bot.access.admission import Access
from bot.access.connections import OpenConnections
from bot.access.limits import RateLimits
from bot.access.tokens import Tokens
from bot.cancelling import cancel
from bot.clock import Clock
from bot.feeds.feeds import Feeds
from bot.integrations.inbox import InboxWork
from bot.integrations.incoming import Incoming
from bot.integrations.news_desk import NewsDesk
from bot.integrations.notification_desk import Desk, providers_of
from bot.live.noticeboard import Noticeboard
from bot.live.presence import Rules
from bot.live.receipts import Receipts
from bot.live.signals import Signals
from bot.messaging.bus import Bus
from bot.messaging.jobs import Jobs
from bot.notifications.announcements import Announcements
from bot.notifications.delivery_reports import DeliveryReports
from bot.notifications.facts import Appointments
from bot.notifications.notification_news import NotificationNews
from bot.notifications.unread import Unread
from bot.notifications.unsubscribing import Unsubscribing
from bot.runtime.loop_lag import LoopLag
from bot.runtime.vitals import Vitals
from bot.settings.settings import Settings
from bot.store import driver, indexes
from bot.store.entries import Entries
from bot.store.stores import Stores, stores_of
from bot.store.token_families import TokenFamilies
from bot.turns.alarms import Alarms, Key
from bot.turns.booking import Booking
from bot.turns.erasure import Erasure
from bot.turns.outboxes import Outboxes
from bot.turns.perform import Perform
from bot.turns.searching import Searching
from bot.turns.showing import Showing
from bot.turns.sweep import Sweep
from bot.turns.turns import Turns
from bot.words import Words
from conversations.notices import Ladder
from conversations.values import Terms
from matching.policy import Policy

log = structlog.get_logger()

# When the process ends: for the effects that are being performed. The sweeps of others perform what is left.
EFFECTS_FINISH_S = 0.5


@dataclass(slots=True, kw_only=True)
class Services(Stores):
    """Everything a door needs. One per process."""

    settings: Settings
    database: driver.Database
    clock: Clock
    words: Words
    tokens: Tokens
    access: Access
    feeds: Feeds
    bus: Bus
    limits: RateLimits
    connections: OpenConnections
    signals: Signals
    receipts: Receipts
    jobs: Jobs
    desk: Desk
    news_desk: NewsDesk
    unsubscribing: Unsubscribing
    inbox_work: InboxWork
    notification_news: NotificationNews
    delivery_reports: DeliveryReports
    appointments: Appointments
    announcements: Announcements
    unread: Unread
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
    epoch = await _epoch(database)
    stores = stores_of(database, settings)
    bus = Bus(settings.redis_url, namespace=epoch, now=clock.now)
    feeds = Feeds(Entries(database["entries"]), bus, clock.now)
    signals = Signals(Noticeboard(settings.redis_url, namespace=epoch), bus, clock.now, rules_of(settings))
    jobs = Jobs(settings.redis_url)
    tokens = Tokens(settings.secret, clock.now)
    access = Access(tokens, TokenFamilies(database["token_families"]), bus, clock.now, feeds.forget)
    appointments = _appointments(settings, stores)
    announcements = _announcements(settings, stores, appointments, feeds, clock)
    perform = _perform(settings, stores, feeds, jobs, access, announcements, signals, clock)
    records = stores.by_kind()
    outboxes = Outboxes(records, perform)
    alarms = Alarms(clock.now, lambda key: _ring(services, key))
    turns = Turns(records, clock.now, alarms, outboxes, tokens.pseudonym)
    incoming = Incoming(settings, turns, stores.bookings, stores.external_bookings, stores.preferences, clock.now)
    limits = RateLimits(settings, settings.redis_url, namespace=epoch)
    sweep = Sweep(records, turns, outboxes, clock.now, every_s=settings.sweep_s)
    loop_lag = LoopLag()
    notification_news = NotificationNews(stores.webhooks, clock.now)
    services = Services(
        **{each.name: getattr(stores, each.name) for each in fields(stores)},
        settings=settings,
        database=database,
        clock=clock,
        words=Words(),
        tokens=tokens,
        access=access,
        feeds=feeds,
        bus=bus,
        limits=limits,
        connections=OpenConnections(
            per_address=settings.connections_per_address, per_token=settings.connections_per_token
        ),
        signals=signals,
        receipts=Receipts(feeds, stores.read_marks),
        jobs=jobs,
        desk=Desk(settings, stores.notifications, stores.breakers, stores.inbox, clock.now),
        news_desk=NewsDesk(settings, turns, outboxes, stores.bookings, stores.notifications, clock.now),
        unsubscribing=Unsubscribing(settings.secret, settings.public_url),
        inbox_work=InboxWork(stores.inbox, incoming.handlers(), clock.now, every_s=settings.sweep_s),
        notification_news=notification_news,
        delivery_reports=DeliveryReports(stores.notifications, stores.breakers, notification_news, clock.now),
        appointments=appointments,
        announcements=announcements,
        unread=Unread(
            stores.bookings,
            stores.read_marks,
            stores.notifications,
            signals,
            clock.now,
            after=timedelta(seconds=settings.unread_after_s),
            every_s=settings.unread_look_s,
        ),
        turns=turns,
        outboxes=outboxes,
        alarms=alarms,
        sweep=sweep,
        loop_lag=loop_lag,
        vitals=Vitals(
            database,
            records,
            bus=bus,
            limits=limits,
            jobs=jobs,
            sweep=sweep,
            loop_lag=loop_lag,
            notifications=stores.notifications,
            breakers=stores.breakers,
            providers=providers_of(settings),
            now=clock.now,
        ),
        epoch=epoch,
    )
    return services


def _appointments(settings: Settings, stores: Stores) -> Appointments:
    return Appointments(
        stores.bookings,
        stores.external_bookings,
        stores.conversations,
        stores.therapists,
        brand=settings.brand,
        locale=settings.default_locale,
        timezone=settings.default_timezone,
    )


def _announcements(
    settings: Settings, stores: Stores, appointments: Appointments, feeds: Feeds, clock: Clock
) -> Announcements:
    return Announcements(
        appointments,
        stores.notifications,
        stores.catalogue,
        stores.devices,
        stores.webhooks,
        feeds,
        clock.now,
        Ladder(settings.reminders_customer, settings.reminders_therapist),
    )


def _perform(
    settings: Settings,
    stores: Stores,
    feeds: Feeds,
    jobs: Jobs,
    access: Access,
    announcements: Announcements,
    signals: Signals,
    clock: Clock,
) -> Perform:
    return Perform(
        feeds,
        announcements,
        Showing(stores.bookings),
        Searching(
            stores.therapists,
            stores.reservations,
            policy_of(settings),
            signals.is_at_work,
            clock.now,
            timedelta(seconds=settings.arrival_s),
            settings.reservation_buffer_minutes,
        ),
        Booking(
            stores.therapists,
            stores.reservations,
            jobs,
            access,
            Erasure(
                stores.conversations,
                stores.bookings,
                stores.searches,
                stores.redactions,
                stores.devices,
                stores.preferences,
                access,
            ),
            announcements,
            clock.now,
        ),
    )


def _ring(services: Services, key: Key) -> None:
    services.spawn(services.sweep.ring(*key))


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
