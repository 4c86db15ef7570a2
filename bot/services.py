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
from bot.clock import Clock, DatabaseClock
from bot.feeds.feeds import Feeds
from bot.integrations.booking_intake import BookingIntake
from bot.integrations.delivery_desk import DeliveryDesk, providers_of
from bot.integrations.inbox import InboxWork
from bot.integrations.incoming import Incoming
from bot.live.presence import Rules
from bot.live.receipts import Receipts
from bot.live.signal_store import SignalStore
from bot.live.signals import Signals
from bot.messaging.bus import Bus
from bot.messaging.jobs import Jobs
from bot.notifications.announcements import Announcements
from bot.notifications.delivery_reports import DeliveryReports
from bot.notifications.facts import FactsOfBookings
from bot.notifications.notification_news import NotificationNews
from bot.notifications.unread import Unread
from bot.notifications.unsubscribing import Unsubscribing
from bot.runtime.loop_lag import LoopLag
from bot.runtime.vitals import Vitals
from bot.settings.settings import Settings
from bot.store import driver, indexes, migrations
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


class Background:
    """What a process does beside everything else; all of it ends with the process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def stop(self) -> None:
        await cancel(*self._tasks)


@dataclass(slots=True, kw_only=True)
class Ground(Stores):
    """What every process and every job stands on: the settings, the database, its clock and the words."""

    settings: Settings
    database: driver.Database
    clock: Clock
    words: Words


@dataclass(slots=True, kw_only=True)
class Post(Ground):
    """What a job needs to tell somebody something; it knows neither Redis nor feeds nor turns."""

    tokens: Tokens
    facts_of_bookings: FactsOfBookings
    unsubscribing: Unsubscribing
    notification_news: NotificationNews


@dataclass(slots=True, kw_only=True)
class Motion(Post):
    """What changes records and lets people see it: the feeds, the bus between processes, and the turns."""

    epoch: str
    bus: Bus
    jobs: Jobs
    feeds: Feeds
    signals: Signals
    receipts: Receipts
    access: Access
    announcements: Announcements
    turns: Turns
    outboxes: Outboxes
    alarms: Alarms
    sweep: Sweep
    background: Background

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside everything else; it is cancelled when the process ends."""
        return self.background.spawn(work)


@dataclass(slots=True, kw_only=True)
class Services(Motion):
    """Everything a door may need. One per process."""

    limits: RateLimits
    connections: OpenConnections
    delivery_desk: DeliveryDesk
    booking_intake: BookingIntake
    inbox_work: InboxWork
    delivery_reports: DeliveryReports
    unread: Unread
    loop_lag: LoopLag
    vitals: Vitals
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process has been told to end: streams say goodbye, and nobody is sent here any more."""
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each command over HTTP or a plain WebSocket was answered with which code, or `ok`."""
    failed_requests: Counter[str] = field(default_factory=Counter)
    """How often a route of HTTP was answered `unavailable`, by its pattern."""
    unsigned_webhooks: Counter[str] = field(default_factory=Counter)
    """How often a webhook was refused for its signature, by whose it should have been."""

    @property
    def is_stopping(self) -> bool:
        return self.stopping.is_set()


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
async def connected(settings: Settings, *, may_take_long: bool = False) -> AsyncIterator[driver.Database]:
    """The database alone, for commands that need nothing else; a release may take its time."""
    assert settings.mongodb_uri is not None, "the caller has started servers or was given their addresses"
    client = driver.connect(
        settings.mongo_driver,
        settings.mongodb_uri,
        timeout_s=settings.rhythms.database.operation_within_s,
        may_take_long=may_take_long,
    )
    try:
        yield driver.read_database(client, settings.database)
    finally:
        await driver.close(client)


@asynccontextmanager
async def running(
    settings: Settings, *, with_sweep: bool = True, clock: Clock | None = None
) -> AsyncIterator[Services]:
    """Services with their clocks running; leaving stops them in the order in which they lean on each other."""
    async with connected(settings) as database:
        services = await build(settings, database, clock)
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
                await services.background.stop()
                await services.outboxes.close(settings.rhythms.ending.effects_finish_s)
                services.jobs.close()


def _fields_of(group: Stores) -> dict[str, Any]:
    """A group as the beginning of the one that builds on it."""
    return {each.name: getattr(group, each.name) for each in fields(group)}


async def open_ground(settings: Settings, database: driver.Database, clock: Clock | None = None) -> Ground:
    """The clock, the database's unless another is handed in, is measured here, and does not run yet."""
    await migrations.check(database)
    clock = clock or DatabaseClock(database, every_s=settings.rhythms.database.clock_every_s)
    await clock.measure()
    stores = stores_of(database, settings)
    return Ground(**_fields_of(stores), settings=settings, database=database, clock=clock, words=Words())


async def open_post(settings: Settings, database: driver.Database, clock: Clock | None = None) -> Post:
    """Enough for a job, which opens it, sends what it has to send, and ends."""
    ground = await open_ground(settings, database, clock)
    return Post(
        **_fields_of(ground),
        tokens=Tokens(settings.secret, ground.clock.now),
        facts_of_bookings=FactsOfBookings(
            ground.bookings,
            ground.external_bookings,
            ground.conversations,
            ground.therapists,
            brand=settings.brand,
            locale=settings.default_locale,
            timezone=settings.default_timezone,
        ),
        unsubscribing=Unsubscribing(settings.secret, settings.public_url),
        notification_news=NotificationNews(ground.webhooks, ground.clock.now),
    )


async def open_motion(settings: Settings, database: driver.Database, clock: Clock | None = None) -> Motion:
    """Nothing is connected to yet but the database."""
    assert settings.redis_url is not None, "the caller has started servers or was given their addresses"
    post, epoch = await open_post(settings, database, clock), await epoch_of(database)
    background, rhythms = Background(), settings.rhythms
    now = post.clock.now
    bus = Bus(settings.redis_url, namespace=epoch, now=now, rhythm=rhythms.bus)
    feeds = Feeds(Entries(database["entries"]), bus, now, rhythms.feeds)
    signal_store = SignalStore(settings.redis_url, namespace=epoch, rhythm=rhythms.signals)
    signals = Signals(signal_store, bus, now, rules_of(settings), rhythms.signals)
    jobs = Jobs(settings.redis_url, rhythms.jobs, namespace=epoch)
    access = Access(post.tokens, TokenFamilies(database["token_families"]), bus, now, feeds.forget, rhythms.access)
    announcements = _announcements(post, feeds)
    records = post.by_kind()
    outboxes = Outboxes(records, _perform(post, feeds, jobs, access, announcements, signals), rhythms.turns)

    def ring(key: Key) -> None:
        background.spawn(sweep.ring(*key))

    alarms = Alarms(now, ring)
    turns = Turns(records, now, alarms, outboxes, post.tokens.pseudonym)
    sweep = Sweep(records, turns, outboxes, now, every_s=settings.sweep_s)
    return Motion(
        **_fields_of(post),
        epoch=epoch,
        bus=bus,
        jobs=jobs,
        feeds=feeds,
        signals=signals,
        receipts=Receipts(feeds, post.read_marks),
        access=access,
        announcements=announcements,
        turns=turns,
        outboxes=outboxes,
        alarms=alarms,
        sweep=sweep,
        background=background,
    )


async def build(settings: Settings, database: driver.Database, clock: Clock | None = None) -> Services:
    """Services whose clocks do not run; `running` makes them run."""
    motion = await open_motion(settings, database, clock)
    now, bus, jobs, sweep = motion.clock.now, motion.bus, motion.jobs, motion.sweep
    assert settings.redis_url is not None, "whoever moves has found Redis"
    limits = RateLimits(settings, settings.redis_url, namespace=motion.epoch)
    loop_lag = LoopLag(settings.rhythms.vitals)
    incoming = Incoming(settings, motion.turns, motion.bookings, motion.external_bookings, motion.preferences, now)
    return Services(
        **_fields_of(motion),
        limits=limits,
        connections=OpenConnections(
            per_address=settings.connections_per_address, per_token=settings.connections_per_token
        ),
        delivery_desk=DeliveryDesk(settings, motion.notifications, motion.breakers, motion.inbox, now),
        booking_intake=BookingIntake(
            settings, motion.turns, motion.outboxes, motion.bookings, motion.notifications, now
        ),
        inbox_work=InboxWork(motion.inbox, incoming.handlers(), now, every_s=settings.sweep_s),
        delivery_reports=DeliveryReports(motion.notifications, motion.breakers, motion.notification_news, now),
        unread=Unread(
            motion.bookings,
            motion.read_marks,
            motion.notifications,
            motion.signals,
            now,
            after=timedelta(seconds=settings.unread_after_s),
            every_s=settings.unread_look_s,
        ),
        loop_lag=loop_lag,
        vitals=Vitals(
            motion.by_kind(),
            bus=bus,
            limits=limits,
            jobs=jobs,
            sweep=sweep,
            loop_lag=loop_lag,
            notifications=motion.notifications,
            heartbeats=motion.heartbeats,
            breakers=motion.breakers,
            providers=providers_of(settings),
            sends_codes=settings.sends_codes,
            now=now,
            rhythm=settings.rhythms.vitals,
        ),
    )


def _announcements(post: Post, feeds: Feeds) -> Announcements:
    return Announcements(
        post.facts_of_bookings,
        post.notifications,
        post.catalogue,
        post.devices,
        post.webhooks,
        feeds,
        post.clock.now,
        Ladder(post.settings.reminders_customer, post.settings.reminders_therapist),
    )


def _perform(
    post: Post, feeds: Feeds, jobs: Jobs, access: Access, announcements: Announcements, signals: Signals
) -> Perform:
    now, settings = post.clock.now, post.settings
    erasure = Erasure(
        post.conversations, post.bookings, post.searches, post.redactions, post.devices, post.preferences, access
    )
    searching = Searching(
        post.therapists,
        post.reservations,
        policy_of(settings),
        signals.is_at_work,
        now,
        timedelta(seconds=settings.arrival_s),
        settings.reservation_buffer_minutes,
    )
    booking = Booking(post.therapists, post.reservations, jobs, access, erasure, announcements, now)
    return Perform(feeds, announcements, Showing(post.bookings), searching, booking)


async def epoch_of(database: driver.Database) -> str:
    """Which history the feeds belong to: a database restored from a backup is given another epoch by its operator."""
    fresh = {"$setOnInsert": {"value": f"{random.SystemRandom().getrandbits(64):016x}"}}
    document = await database["meta"].find_one_and_update({"_id": "epoch"}, fresh, upsert=True, return_document=True)
    assert document is not None, "what is not there is inserted"
    value: str = document["value"]
    return value


async def migrate(settings: Settings, tell: indexes.Tell = indexes.to_nobody) -> None:
    """Make the changes that are due and build the indexes, however long it takes; doing it again changes nothing."""
    async with connected(settings, may_take_long=True) as database:
        await migrations.apply(database, tell)
        await indexes.build(database, tell)
