"""A post office of a test: the real ledger and libraries, providers on loopback, and a clock that is moved."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.runtime.embedded import Servers
from bot.services import Services, build, connected
from bot.store.devices import fcm_device, webpush_device
from bot.store.notifications import Row
from conversations.notices import BookingFacts, Notice, Person
from tests.clock import FakeClock
from tests.fakes.certificates import make_certificate
from tests.fakes.fcm_api import FcmApi
from tests.fakes.push_service import PushService
from tests.fakes.smtp_server import SmtpServer
from tests.fakes.twilio_api import ACCOUNT, TOKEN, TwilioApi
from tests.house import settings_for
from workers.post_office import PostOffice, post_office

START = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
BUDI = Person("guest:c_1", "Budi", "id", "Asia/Jakarta", "+6281234567890", "budi@example.org")
SARI = Person("therapist:t_1", "Sari", "id", "Asia/Jakarta", "+6281298765432")
PATIENT_S = 5.0


def a_booking(**more: Any) -> BookingFacts:
    fields: dict[str, Any] = {
        "booking_id": "b_1",
        "reference": "JNJ1",
        "revision": 1,
        "status": "confirmed",
        "starts_at": START + timedelta(hours=48),
        "duration": 60,
        "customer": BUDI,
        "therapist": SARI,
        "service_names": {"en": "Balinese massage", "id": "Pijat Bali"},
        "brand": "Janji",
        "conversation_id": "c_1",
    }
    return BookingFacts(**{**fields, **more})


@dataclass(frozen=True, slots=True)
class Providers:
    """By whom messages leave, and the settings that lead to them."""

    mail: SmtpServer
    twilio: TwilioApi
    fcm: FcmApi
    push: PushService
    settings: dict[str, Any]


@contextmanager
def providers_of(folder: Path) -> Iterator[Providers]:
    with ExitStack() as stack:
        certificate = make_certificate(folder)
        mail = stack.enter_context(SmtpServer(certificate.server))
        twilio, fcm = stack.enter_context(TwilioApi()), stack.enter_context(FcmApi())
        push = stack.enter_context(PushService())
        settings = {
            "smtp_url": mail.url,
            "smtp_ca_file": certificate.file,
            "mail_from": "no-reply@example.com",
            "twilio_account_sid": ACCOUNT,
            "twilio_auth_token": TOKEN,
            "twilio_from": "+15005550006",
            "twilio_api_url": twilio.url,
            "fcm_service_account": fcm.service_account(),
            "fcm_url": fcm.url,
            "push_services": (push.url,),
            "provider_timeout_s": PATIENT_S,
        }
        yield Providers(mail, twilio, fcm, push, settings)


@dataclass(slots=True)
class Known:
    """The bookings there are, in place of the records that a web process writes."""

    facts_of_bookings: dict[str, BookingFacts] = field(default_factory=dict)

    async def find(self, room: str, booking_id: str) -> BookingFacts | None:
        return self.facts_of_bookings.get(booking_id)

    def put(self, booking_facts: BookingFacts) -> None:
        self.facts_of_bookings[booking_facts.booking_id] = booking_facts


@dataclass(slots=True)
class Office:
    """Everything around the post office; `at` moves its clock."""

    services: Services
    clock: FakeClock
    known: Known
    post: PostOffice
    mail: SmtpServer
    twilio: TwilioApi
    fcm: FcmApi
    push: PushService

    def move(self, **time: float) -> None:
        self.clock.at += timedelta(**time)

    async def write(self, **more: Any) -> str:
        """A row that is due now, of Budi's confirmed booking unless it says otherwise."""
        fields: dict[str, Any] = {
            "kind": "booking_confirmed",
            "side": "customer",
            "person_id": BUDI.id,
            "channel": "sms",
            "due_at": self.clock.at,
            "useful_until": self.clock.at + timedelta(days=1),
            "urgency": "normal",
            "sound": None,
        }
        extra = {name: more.pop(name) for name in ("occasion", "seq") if name in more}
        notice = Notice(**{**fields, **more})
        [row_id] = await self.services.notifications.write("booking", "b_1", 1, [notice], self.clock.at, **extra)
        return row_id

    async def drain(self) -> None:
        """All that is due by now, as the workers' jobs would do it."""
        for queue, part in await self.services.notifications.parts_due(self.clock.at):
            await self.post.drain(queue, part)

    async def row(self, row_id: str) -> Row:
        row = await self.services.notifications.get(row_id)
        assert row is not None
        return row

    async def standing(self, row_id: str) -> tuple[str, str | None]:
        """How a row stands, and why."""
        row = await self.row(row_id)
        return row.status, row.reasons[-1].what if row.reasons else None

    async def add_phone(self, person_id: str = SARI.id, token: str = "a-phone") -> str:
        device = fcm_device(person_id, token, "id")
        await self.services.devices.keep(device, self.clock.at)
        return device.id

    async def add_browser(self, person_id: str = SARI.id) -> dict[str, Any]:
        subscription = self.push.subscribe()
        await self.services.devices.keep(webpush_device(person_id, subscription, "id"), self.clock.at)
        return subscription


@asynccontextmanager
async def office_of(servers: Servers, database: str, folder: Path, **more: Any) -> AsyncIterator[Office]:
    async with AsyncExitStack() as stack:
        by = stack.enter_context(providers_of(folder))
        settings = settings_for(servers, database, **{**by.settings, **more})
        clock, known = FakeClock(START), Known()
        services = await build(settings, await stack.enter_async_context(connected(settings)), clock)
        services.facts_of_bookings = known  # type: ignore[assignment]
        known.put(a_booking())
        post = await stack.enter_async_context(post_office(services, chance=random.Random(1)))
        yield Office(services, clock, known, post, by.mail, by.twilio, by.fcm, by.push)
        services.jobs.close()
