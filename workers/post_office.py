"""Where everything that leaves the house comes together: the ledger, the words, the channels, and who wants what."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bot.identity import Audience, conversation_feed, other_side
from bot.notifications.unsubscribing import Unsubscribing
from bot.providers.opening import open_channels
from bot.services import Post
from bot.settings.settings import Settings
from bot.store.notifications import Notifications, Queue, Row
from conversations.notices import BookingFacts, Person, Side
from workers.delivery import Delivery
from workers.eligibility import Caps, EligibilityCheck
from workers.letters import Letters, Links
from workers.mail_templates import Templates

# Of one job: how many rows it reads at once, how many of these are under way, and when it makes room for the next job.
PAGE = 100
AT_ONCE = 32
DRAIN_S = 5.0

# Where each side goes on, and who that is to the feeds.
PAGES: Mapping[Side, str] = {"customer": "/chat", "therapist": "/therapist"}
READERS: Mapping[Side, Audience] = {"customer": "guest", "therapist": "therapist"}

NO_MAIL = "nobody@localhost"
"""The sender of mails that are never written, where no mail server is known."""


class PostOffice:
    """Delivers what is due, part by part."""

    def __init__(self, services: Post, delivery: Delivery) -> None:
        self._ledger: Notifications = services.notifications
        self._now = services.clock.now
        self._delivery = delivery

    async def drain(self, queue: Queue, part: int | None, for_s: float = DRAIN_S) -> int:
        """What is due in this part, or in all of the queue, for so long at most; gives how many rows were looked at."""
        until, count = time.monotonic() + for_s, 0
        while time.monotonic() < until:
            rows = await self._ledger.due_in(queue, part, self._now(), PAGE)
            if not rows:
                break
            await self._deliver_all(rows)
            count += len(rows)
        return count

    async def _deliver_all(self, rows: list[Row]) -> None:
        doors = asyncio.Semaphore(AT_ONCE)

        async def deliver(row: Row) -> None:
            async with doors:
                await self._delivery.deliver(row)

        # Each row comes to its own end, whatever becomes of the others; then it is told that the ledger is away.
        outcomes = await asyncio.gather(*(deliver(row) for row in rows), return_exceptions=True)
        for error in outcomes:
            if isinstance(error, BaseException):
                raise error


@asynccontextmanager
async def post_office(services: Post, *, chance: random.Random | None = None) -> AsyncIterator[PostOffice]:
    """Opened inside the loop that uses it; nothing is connected to before something leaves."""
    settings, now = services.settings, services.clock.now
    breakers = services.breakers
    async with open_channels(settings, now) as channels:
        eligibility_check = EligibilityCheck(
            ledger=services.notifications,
            facts_of_bookings=services.facts_of_bookings,
            preferences=services.preferences,
            devices=services.devices,
            breakers=breakers,
            channels=channels,
            links_of=LinksFor(settings, services.unsubscribing),
            is_seen=Seen(services),
            now=now,
            caps=Caps(settings.cap_sms_per_hour, settings.cap_email_per_hour, settings.cap_push_per_hour),
        )
        delivery = Delivery(
            eligibility_check=eligibility_check,
            ledger=services.notifications,
            preferences=services.preferences,
            devices=services.devices,
            breakers=breakers,
            channels=channels,
            letters=Letters(services.words, Templates(services.words, settings.templates_dir), _sender(settings)),
            now=now,
            chance=chance or random.Random(),
            public_url=settings.public_url,
            tell_integrators=services.notification_news,
        )
        yield PostOffice(services, delivery)


def _sender(settings: Settings) -> str:
    return settings.mail_from or NO_MAIL


class LinksFor:
    """The addresses that a message to somebody carries; none where nobody told us our own."""

    def __init__(self, settings: Settings, unsubscribing: Unsubscribing) -> None:
        self._settings = settings
        self._unsubscribing = unsubscribing

    def __call__(self, row: Row, booking_facts: BookingFacts, person: Person) -> Links:
        home = self._settings.public_url
        page = None if home is None else home + PAGES[row.side]
        return Links(
            chat=page if booking_facts.conversation_id else None,
            unsubscribe=self._unsubscribing.link(person.email) if person.email else None,
            app_store=self._settings.app_store_url,
            play_store=self._settings.play_store_url,
        )


class Seen:
    """Whether the message that waits has been read meanwhile."""

    def __init__(self, services: Post) -> None:
        self._marks = services.read_marks

    async def __call__(self, row: Row, booking_facts: BookingFacts) -> bool:
        reader = READERS[row.side]
        feed = conversation_feed(booking_facts.conversation_id or "")
        read = await self._marks.last(feed, reader)
        return not await self._marks.has_message(feed, other_side(reader), after=read, up_to=row.seq or 0)
