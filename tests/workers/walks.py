"""A booking on its way to the visit: a whole house, everybody who sends for it, and a clock that is moved."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any, NamedTuple

import icalendar
import redis

from bot.messaging.named_jobs import queue_of
from bot.runtime.embedded import Servers
from bot.store.devices import fcm_device, webpush_device
from bot.store.notifications import Row
from bot.store.therapists import TherapistRecord
from conversations.values import Locale
from tests.agreement import eventually
from tests.clients import JAKARTA, PATIENCE_S, Client, Guest, Therapist, guest, therapist
from tests.clock import FakeClock
from tests.house import House, house_of, settings_for
from tests.workers.offices import Providers
from workers.dispatch import Dispatch
from workers.post_office import PostOffice, post_office

EMAIL = "budi@example.org"
PHONE = "+6281234567890"
HOUR, QUARTER, SECOND = timedelta(hours=1), timedelta(minutes=15), timedelta(seconds=1)
QUEUES = ("critical", "notify")

# What a mail, a short message or a push is known by: the title of its kind, as a reader of each language has it.
TITLES: Mapping[Locale, Mapping[str, str]] = {
    "en": {
        "Your booking is confirmed": "booking_confirmed",
        "You have a new booking": "new_booking",
        "Your booking has a new time": "booking_moved",
        "Your booking was cancelled": "booking_cancelled",
        "A booking was cancelled": "booking_cancelled",
        "We have received": "payment_confirmed",
        "could not be paid": "payment_failed",
        "A reminder of your visit": "reminder",
        "Your next visit": "reminder",
        "Your visit begins soon": "starts_soon",
        "A guest is looking for you": "new_offer",
        "has written to you": "message_waiting",
    },
    "id": {
        "Pesanan Anda telah dikonfirmasi": "booking_confirmed",
        "Anda mendapat pesanan baru": "new_booking",
        "Waktu pesanan Anda berubah": "booking_moved",
        "Pesanan Anda dibatalkan": "booking_cancelled",
        "Sebuah pesanan dibatalkan": "booking_cancelled",
        "Kami telah menerima": "payment_confirmed",
        "belum berhasil": "payment_failed",
        "tidak dapat dibayar": "payment_failed",
        "Pengingat kunjungan Anda": "reminder",
        "Kunjungan Anda berikutnya": "reminder",
        "Kunjungan Anda segera dimulai": "starts_soon",
        "Ada tamu yang mencari Anda": "new_offer",
        "mengirim pesan kepada Anda": "message_waiting",
    },
}


class Told(NamedTuple):
    """What one side was told by one channel, so many hours before the visit."""

    hours: float
    side: str
    kind: str
    channel: str


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came to where it was sent."""

    told: Told
    text: str
    mail: EmailMessage | None = None
    entry: Mapping[str, Any] = field(default_factory=dict)
    """As a page has it."""

    @property
    def says(self) -> str:
        """As it is read: what stands on one line in a mail is kept there by other spaces."""
        return self.text.replace("\N{NO-BREAK SPACE}", " ")

    @property
    def visit(self) -> tuple[datetime, int, str] | None:
        """What a calendar makes of the mail: the moment, which word of the booking this is, and how it stands."""
        parts = [part for part in self.mail.walk() if part.get_content_type() == "text/calendar"] if self.mail else []
        if not parts:
            return None
        [event] = icalendar.Calendar.from_ical(parts[0].get_content()).events
        assert isinstance(event.start, datetime)
        return event.start.astimezone(UTC), event.sequence, str(event["STATUS"])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a visit is, and what is spoken there. It begins when the clocks of the place show two in the afternoon."""

    zone: str
    clocks: str
    """What people call them on that day."""
    begins_at: datetime
    guest: Locale = "id"
    therapist: Locale = "id"
    position: tuple[float, float] = JAKARTA

    def language(self, side: str) -> Locale:
        return self.guest if side == "customer" else self.therapist

    def hour(self, side: str) -> str:
        """The beginning of the visit as this side reads it."""
        return f"{TWO_IN_THE_AFTERNOON[self.language(side)]} {self.clocks}"


TWO_IN_THE_AFTERNOON: Mapping[Locale, str] = {"en": "14:00", "id": "14.00"}
HERE = Place("Asia/Jakarta", "WIB", datetime(2030, 6, 12, 7, tzinfo=UTC))


def table(text: str) -> Counter[Told]:
    """What such a table says: `24 | reminder_24h: email sms | …`, the customer's column and the therapist's."""
    expected: Counter[Told] = Counter()
    for line in filter(None, map(str.strip, text.strip().splitlines()[1:])):
        hours, *columns = line.split("|")
        for side, column in zip(("customer", "therapist"), columns, strict=True):
            kind, _, channels = column.strip().partition(":")
            expected.update(Told(float(hours), side, kind, channel) for channel in channels.split())
    return expected


@dataclass(slots=True)
class Walk:
    """A visit and its two people; `each_job` says how often every job is run."""

    house: House
    place: Place
    clock: FakeClock
    post: PostOffice
    dispatch: Dispatch
    courier: redis.Redis
    by: Providers
    sari: TherapistRecord
    budi: Guest
    console: Therapist
    each_job: int = 1
    booking_id: str = ""
    received: list[Received] = field(default_factory=list)

    # --- the people ---

    async def book(self) -> None:
        """By their own hands; what is told of it has left when it comes back."""
        latitude, longitude = self.place.position
        where = {"address": "Jl. Melati 1", "latitude": latitude, "longitude": longitude}
        await self.budi.search(location=where, email=EMAIL)
        await self.console.until_offer()
        await eventually(self._has_offered)
        await self.look()
        await self.console.accept()
        await self.budi.accept()
        self.booking_id = str((await self.console.until_booking("active"))["id"])
        await self.settled()
        await self.look()

    async def _has_offered(self) -> None:
        """The offer is on the page before it is in the ledger."""
        assert await self.house.services.database["notifications"].count_documents({"kind": "new_offer"})

    async def settled(self) -> None:
        """Until what the last turns wanted has been done, the conversation's first: it tells the booking."""
        outboxes = self.house.services.outboxes
        await outboxes.settled("conversation", str(self.budi.session["conversation_id"]), PATIENCE_S)
        await outboxes.settled("booking", self.booking_id, PATIENCE_S)

    async def owns_devices(self) -> None:
        """Sari has the app, and Budi has allowed his browser to tell him."""
        devices, now = self.house.services.devices, self.clock.at
        await devices.keep(fcm_device(self.therapist_id, "the-phone-of-sari", "en"), now)
        await devices.keep(webpush_device(self.guest_id, self.by.push.subscribe(), "en"), now)

    @property
    def guest_id(self) -> str:
        return f"guest:{self.budi.session['conversation_id']}"

    @property
    def therapist_id(self) -> str:
        return f"therapist:{self.sari.id}"

    # --- time ---

    @property
    def hours(self) -> float:
        return (self.place.begins_at - self.clock.at) / timedelta(hours=1)

    async def go_on(self, hours: float = 0) -> None:
        """Until so many hours before the visit: a look a second before each moment at which something may be due, and
        one when it has come. Those are every hour, and every quarter of the last one.
        """
        begins_at, until = self.place.begins_at, self.place.begins_at - timedelta(hours=hours)
        while self.clock.at < until:
            left, unit = begins_at - self.clock.at, HOUR if self.hours > 1 else QUARTER
            strikes_at = min(begins_at - (left - SECOND) // unit * unit, until)
            for self.clock.at in (strikes_at - SECOND, strikes_at):
                await self.look()

    async def look(self) -> None:
        """What the sweep's process and the workers do in a moment."""
        await self.dispatch.once()
        for queue, part in self._jobs():
            for _ in range(self.each_job):
                # Redis may hand the same job to two workers at once, and to one of them again.
                await asyncio.gather(*(self.post.drain(queue, part) for _ in range(self.each_job)))
        self._collect()

    def _jobs(self) -> list[Any]:
        """What the jobs in the queues are called with; they are taken out of them."""
        found: list[Any] = []
        for queue in (queue_of(name, self.house.services.epoch, self.courier) for name in QUEUES):
            found += [job.args for job in queue.jobs]
            queue.empty()  # type: ignore[no-untyped-call]  # upstream has no types
        return found

    # --- what arrives ---

    def _collect(self) -> None:
        for mail in _taken(self.by.mail.mails):
            text = f"{mail['Subject']}\n{_body(mail)}"
            assert EMAIL in mail["To"]
            self._note("customer", "email", str(mail["Subject"]), text, mail)
        for message in _taken(self.by.twilio.messages):
            side = {PHONE: "customer", self.sari.phone: "therapist"}[message["To"]]
            self._note(side, "sms", message["Body"], message["Body"])
        for sent in _taken(self.by.fcm.sent):
            assert sent["token"] == "the-phone-of-sari"
            shown = sent["notification"]
            self._note("therapist", "push", shown["title"], f"{shown['title']}\n{shown['body']}")
        for _, shown in _taken(self.by.push.shown):
            self._note("customer", "push", shown["title"], f"{shown['title']}\n{shown['body']}")

    def _note(self, side: str, channel: str, title: str, text: str, mail: EmailMessage | None = None) -> None:
        titles = TITLES[self.place.language(side)]
        [kind] = {kind for words, kind in titles.items() if words in f"{title} {text}"}
        # Which reminder it is, its moment says.
        kind = f"reminder_{self.hours:g}h" if kind == "reminder" else kind
        self.received.append(Received(Told(self.hours, side, kind, channel), text, mail))

    async def pages(self) -> list[Received]:
        """What both have been shown on their own pages, when all of it has come."""
        return [
            *await self._page("customer", self.budi, str(self.budi.session["feed"])),
            *await self._page("therapist", self.console, f"therapist:{self.sari.id}"),
        ]

    def offers_of_the_app(self) -> list[float]:
        """How many hours before the visit the guest's page got the card of the app, for the visit as it stands."""
        cards = [
            each for each in self.budi.entries if each["type"] == "card" and each["data"]["card"] == "app_download"
        ]
        assert {card["data"]["revision"] for card in cards} <= {self.budi.revision}
        return [self._hours_at(card) for card in cards]

    def _hours_at(self, entry: dict[str, Any]) -> float:
        return (self.place.begins_at - datetime.fromisoformat(entry["at"])) / timedelta(hours=1)

    async def _page(self, side: str, client: Client, feed: str) -> list[Received]:
        written = await self.house.services.database["entries"].count_documents({"feed": feed, "type": "notification"})

        def shown() -> list[dict[str, Any]]:
            return [each for each in client.entries if each["type"] == "notification" and each["feed"] == feed]

        await client.until(lambda: len(shown()) == written, f"{written} notices")
        return [self._shown(side, entry) for entry in shown()]

    def _shown(self, side: str, entry: dict[str, Any]) -> Received:
        data = entry["data"]
        text = f"{data['title']}\n{data['body']}"
        return Received(Told(self._hours_at(entry), side, data["kind"], "in_app"), text, entry=data)

    async def told(self) -> Counter[Told]:
        """Everything that both were told until now, on all channels."""
        return Counter(each.told for each in (*self.received, *await self.pages()))

    async def rows(self) -> list[Row]:
        return await self.house.services.notifications.of_booking(self.booking_id)


def _taken(box: list[Any]) -> Iterable[Any]:
    taken = box[:]
    box.clear()
    return taken


def _body(mail: EmailMessage) -> str:
    plain = mail.get_body(("plain",))
    assert plain is not None
    return str(plain.get_content())


@asynccontextmanager
async def walk_of(
    servers: Servers, database: str, by: Providers, place: Place = HERE, *, hours: float = 30, **more: Any
) -> AsyncIterator[Walk]:
    """Nobody has booked yet; whoever books now is visited in so many hours.

    Guests cannot choose a day of their own: here it takes a therapist longer to come than settings allow.
    """
    lead = timedelta(hours=hours)
    clock = FakeClock(place.begins_at - lead)
    settings = settings_for(servers, database, **{**by.settings, "sweep_s": 60.0, **more})
    settings = settings.model_copy(update={"arrival_s": lead.total_seconds()})
    for box in (by.mail.mails, by.twilio.messages, by.fcm.sent, by.push.shown):
        _taken(box)
    async with house_of(settings, clock) as house, post_office(house.services, chance=random.Random(1)) as post:
        latitude, longitude = place.position
        sari = await house.add_therapist(locale=place.therapist, latitude=latitude, longitude=longitude)
        async with (
            therapist(house.url, house.token_of(sari), locale=place.therapist) as console,
            guest(house.url, locale=place.guest, timezone=place.zone) as budi,
        ):
            services = house.services
            ledger, announcements = services.notifications, services.announcements
            dispatch = Dispatch(ledger, announcements, services.jobs, services.heartbeats, clock.now, every_s=60)
            with closing(redis.Redis.from_url(settings.redis_url or "")) as courier:
                walk = Walk(house, place, clock, post, dispatch, courier, by, sari, budi, console)
                await walk.owns_devices()
                yield walk
