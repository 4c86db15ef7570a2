"""Notices leave the house: a real booking, real worker processes, and providers on loopback that count."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis.asyncio

from bot.store.devices import fcm_device
from bot.store.therapists import TherapistRecord
from tests.agreement import eventually
from tests.clients import Guest, Therapist, guest, therapist
from tests.fakes.certificates import make_certificate
from tests.fakes.fcm_api import FcmApi
from tests.fakes.smtp_server import SmtpServer
from tests.fakes.twilio_api import ACCOUNT, TOKEN, TwilioApi
from tests.house import House
from tests.processes import Site, site
from workers.dispatch import Dispatch

pytestmark = pytest.mark.slow

DISPATCH_S = 0.1
CONFIRMATION = ("booking_confirmed", "sms")


@dataclass(slots=True)
class Providers:
    """Whom the workers of these tests send by, and what tells them so."""

    mail: SmtpServer
    twilio: TwilioApi
    fcm: FcmApi
    variables: dict[str, str]


@pytest.fixture
def providers(tmp_path: Path) -> Iterator[Providers]:
    with ExitStack() as stack:
        certificate = make_certificate(tmp_path)
        mail = stack.enter_context(SmtpServer(certificate.server))
        twilio, fcm = stack.enter_context(TwilioApi()), stack.enter_context(FcmApi())
        variables = {
            "JANJI_SMTP_URL": mail.url,
            "JANJI_SMTP_CA_FILE": str(certificate.file),
            "JANJI_MAIL_FROM": "no-reply@example.com",
            "JANJI_TWILIO_ACCOUNT_SID": ACCOUNT,
            "JANJI_TWILIO_AUTH_TOKEN": TOKEN,
            "JANJI_TWILIO_FROM": "+15005550006",
            "JANJI_TWILIO_API_URL": twilio.url,
            "JANJI_FCM_SERVICE_ACCOUNT": json.dumps(fcm.service_account()),
            "JANJI_FCM_URL": fcm.url,
        }
        yield Providers(mail, twilio, fcm, variables)


@pytest.fixture
async def place(house: House, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(house.services.settings, tmp_path) as running:
        yield running


def hand_out(house: House) -> None:
    """What the sweep's process does, in this one: starting one process less."""
    services = house.services
    dispatch = Dispatch(
        services.notifications,
        services.announcements,
        services.jobs,
        services.heartbeats,
        services.clock.now,
        every_s=DISPATCH_S,
    )
    services.spawn(dispatch.run())


async def sari_with_a_phone(house: House) -> TherapistRecord:
    sari = await house.add_therapist()
    device = fcm_device(f"therapist:{sari.id}", "the-phone-of-sari", "en")
    await house.services.devices.keep(device, house.services.clock.now())
    return sari


async def accept(budi: Guest, console: Therapist) -> str:
    await console.accept()
    await budi.accept()
    return str((await console.until_booking("active"))["id"])


async def statuses(house: House, booking_id: str) -> set[tuple[str, str, str]]:
    rows = await house.services.notifications.of_booking(booking_id)
    return {(row.kind, row.channel, row.status) for row in rows if row.kind != "starts_soon"}


async def test_a_booking_reaches_both_by_mail_sms_and_push_once_though_redis_forgets_everything(
    house: House, place: Site, providers: Providers
) -> None:
    sari = await sari_with_a_phone(house)
    hand_out(house)
    worker = await place.workers("rq", **providers.variables)
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        await budi.search(email="budi@example.org")

        async def offered() -> None:
            assert [each["notification"]["title"] for each in providers.fcm.sent] == ["A guest is looking for you"]

        await eventually(offered)
        booking_id = await accept(budi, console)
        async with redis.asyncio.Redis.from_url(house.services.settings.redis_url or "") as courier:
            await courier.flushall()

        async def sent() -> None:
            assert await statuses(house, booking_id) == {
                ("booking_confirmed", "email", "sent"),
                ("booking_confirmed", "sms", "sent"),
                ("booking_confirmed", "in_app", "sent"),
                ("new_booking", "in_app", "sent"),
                ("new_booking", "push", "sent"),
                ("new_offer", "push", "sent"),
            }

        await eventually(sent)
    await worker.kill_all()
    assert [str(mail["To"]) for mail in providers.mail.mails] == ["Budi <budi@example.org>"]
    assert [message["To"] for message in providers.twilio.messages] == ["+6281234567890"]
    assert [each["token"] for each in providers.fcm.sent] == ["the-phone-of-sari"] * 2


async def test_a_worker_that_is_killed_while_a_provider_answers_leaves_the_row_to_the_next_one(
    house: House, place: Site, providers: Providers
) -> None:
    sari = await sari_with_a_phone(house)
    providers.twilio.fail("/Messages.json", delay_s=8.0, is_done=True)
    hand_out(house)
    first = await place.workers("rq", **providers.variables)
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        await budi.search(email="budi@example.org")
        booking_id = await accept(budi, console)

        async def asked() -> None:
            assert providers.twilio.messages

        await eventually(asked)
        await first.kill_all()
        ledger = house.services.notifications
        [row] = [row for row in await ledger.of_booking(booking_id) if (row.kind, row.channel) == CONFIRMATION]
        assert row.status == "sending"
        # The minute of its lease is over, and so is that of the mail, if it was under way, too.
        await house.services.database["notifications"].update_many(
            {"booking_id": booking_id, "status": "sending"}, {"$set": {"next_at": house.services.clock.now()}}
        )
        second = await place.workers("rq", **providers.variables)

        async def sent() -> None:
            again = await ledger.get(row.id)
            assert again is not None
            assert (again.status, again.doubts) == ("sent", 1)
            assert providers.mail.mails, "whichever of them had its turn"

        await eventually(sent)
    await second.kill_all()
    assert len(providers.twilio.messages) == 2, "nobody can tell whether the first one was sent"
    assert len({mail["Message-ID"] for mail in providers.mail.mails}) == 1
