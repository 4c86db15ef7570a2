"""Other systems hear of bookings and notifications by webhooks, whichever road changed them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.clock import machine_now
from bot.runtime.embedded import Servers
from bot.services import Services
from bot.settings.channels import ChannelSettings
from bot.store.webhooks import Event
from tests.agreement import eventually
from tests.clients import guest, therapist
from tests.fakes.integrator import Integrator
from tests.house import METRICS_TOKEN, House
from tests.stories.test_notices import book
from tests.workers.offices import office_of
from workers.webhooks import open_webhooks

pytestmark = pytest.mark.slow

OURS = ChannelSettings(webhooks_to_private_addresses=True)


async def subscribe(services: Services, integrator: Integrator) -> None:
    endpoint = await services.webhooks.add(f"{integrator.url}/hook", [], services.clock.now())
    integrator.secrets.append(endpoint.secret)


def told(integrator: Integrator, event_type: str) -> list[dict[str, Any]]:
    return [event["data"] for _, event in integrator.told if event["type"] == event_type]


async def sample(house: House, name: str, label: str = "") -> float:
    """The value of one line of /metrics."""
    headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    async with aiohttp.ClientSession() as http, http.get(f"{house.url}/metrics", headers=headers) as answer:
        lines = (await answer.text()).splitlines()
    (line,) = [each for each in lines if each.startswith(f"{name}{{") and label in each]
    return float(line.rpartition(" ")[2])


async def test_a_booking_that_is_made_and_cancelled_in_a_chat_is_told_to_integrators_without_its_people(
    house: House,
) -> None:
    sari = await house.add_therapist()
    with Integrator() as integrator:
        await subscribe(house.services, integrator)
        async with (
            open_webhooks(OURS, house.services.webhooks) as sender,
            therapist(house.url, house.token_of(sari)) as console,
            guest(house.url) as budi,
        ):
            booking_id = await book(budi, console, email="budi@example.com")
            await budi.do("cancel")

            async def heard() -> None:
                await sender.deliver_due(house.services.clock.now())
                assert Counter(event["type"] for _, event in integrator.told) == {
                    "booking.confirmed": 1,
                    "booking.cancelled": 1,
                }

            await eventually(heard)
    (confirmed,), (cancelled,) = told(integrator, "booking.confirmed"), told(integrator, "booking.cancelled")
    assert confirmed["booking_id"] == cancelled["booking_id"] == booking_id
    assert set(confirmed) == set(cancelled) == {"booking_id", "revision"}


async def test_what_left_and_what_never_will_is_told_to_integrators(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    with Integrator() as integrator:
        async with (
            office_of(servers, database, tmp_path) as office,
            open_webhooks(OURS, office.services.webhooks, machine_now) as sender,
        ):
            await subscribe(office.services, integrator)
            sent = await office.write(channel="sms")
            dead = await office.write(channel="email")
            office.mail.fail("RCPT", "550 5.1.1 no such user")
            await office.drain()
            await sender.deliver_due(office.clock.at)
    assert [each["notification_id"] for each in told(integrator, "notification.sent")] == [sent]
    assert [each["notification_id"] for each in told(integrator, "notification.dead")] == [dead]


async def test_nobody_who_listens_costs_nothing_but_a_look(house: House) -> None:
    sari = await house.add_therapist()
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        await book(budi, console)
    assert await house.services.webhooks.counts() == {"waiting": 0, "dead": 0, "disabled": 0}


async def test_an_operator_sees_who_is_not_told_any_more(house: House) -> None:
    with Integrator() as integrator:
        await subscribe(house.services, integrator)
        integrator.fail("/hook", status=410)
        now = house.services.clock.now()
        await house.services.webhooks.publish(Event("v_1", "booking.moved", now, {}), now)
        assert await sample(house, "janji_webhook_deliveries", 'state="waiting"') == 1
        async with open_webhooks(OURS, house.services.webhooks) as sender:
            await sender.deliver_due(now)
    assert await sample(house, "janji_webhook_deliveries", 'state="waiting"') == 0
    assert await sample(house, "janji_webhook_deliveries", 'state="dead"') == 1
    assert await sample(house, "janji_webhook_endpoints_disabled") == 1
