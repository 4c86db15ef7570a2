"""Integrators are told what happened: signed, again until they have heard it, and never anywhere they should not be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from standardwebhooks.webhooks import Webhook

from bot.__main__ import main
from bot.clock import machine_now
from bot.integrations.public_addresses import check_url, is_public
from bot.runtime.embedded import Servers
from bot.settings.channels import ChannelSettings
from bot.store import driver
from bot.store.webhooks import EVENT_TYPES, Endpoint, Event, Webhooks, delivery_id
from tests.fakes.integrator import Integrator
from tests.house import SECRET
from tests.workers.messages import PATIENT_S, SOON_S
from workers.webhooks import DISABLED_AFTER, LEASE, MOST_ATTEMPTS, PAUSES, WebhookSender, open_webhooks

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# What is longest with its jitter.
A_WHILE = DAY


@pytest.fixture
def integrator() -> Iterator[Integrator]:
    with Integrator() as running:
        yield running


@pytest.fixture(params=["motor", "pymongo"])
async def webhooks(request: pytest.FixtureRequest, servers: Servers, database: str) -> AsyncIterator[Webhooks]:
    client = driver.connect(request.param, servers.mongodb_uri or "")
    try:
        found = driver.read_database(client, database)
        yield Webhooks(found["webhook_endpoints"], found["webhook_deliveries"])
    finally:
        await driver.close(client)


@asynccontextmanager
async def sender_of(webhooks: Webhooks, **more: Any) -> AsyncIterator[WebhookSender]:
    fields = {"webhooks_to_private_addresses": True, "provider_timeout_s": PATIENT_S}
    # The moments in the signatures are those of the real clock, since the integrator looks at it.
    async with open_webhooks(ChannelSettings(**{**fields, **more}), webhooks, machine_now) as sender:
        yield sender


@pytest.fixture
async def sender(webhooks: Webhooks) -> AsyncIterator[WebhookSender]:
    async with sender_of(webhooks) as open_sender:
        yield open_sender


async def endpoint_at(webhooks: Webhooks, integrator: Integrator, *event_types: Any, path: str = "/hook") -> Endpoint:
    endpoint = await webhooks.add(f"{integrator.url}{path}", event_types, NOW)
    integrator.secrets.append(endpoint.secret)
    return endpoint


def an_event(number: int = 1, event_type: Any = "booking.confirmed") -> Event:
    return Event(f"v_{number}", event_type, NOW, {"booking_id": f"b_{number}", "revision": 1})


async def state_of(webhooks: Webhooks, endpoint: Endpoint, number: int = 1) -> tuple[str, int, str | None]:
    """Status, attempts and the last code of the delivery of this event."""
    delivery = await webhooks.get(delivery_id(endpoint.id, f"v_{number}"))
    assert delivery is not None
    return delivery.status, delivery.attempts, delivery.code


async def present(webhooks: Webhooks, endpoint: Endpoint) -> Endpoint:
    return next(each for each in await webhooks.all() if each.id == endpoint.id)


# --- what arrives -----------------------------------------------------------------------------------------------------


async def test_an_event_arrives_signed_with_its_kind_its_moment_and_its_data(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    endpoint = await endpoint_at(webhooks, integrator)
    assert await webhooks.publish(an_event(), NOW) == 1
    assert await sender.deliver_due(NOW) == 1

    told = {"type": "booking.confirmed", "timestamp": "2026-12-01T03:00:00Z", "data": an_event().data}
    assert integrator.told == [("v_1", told)]
    assert await state_of(webhooks, endpoint) == ("delivered", 1, "204")
    assert await sender.deliver_due(NOW + A_WHILE) == 0


async def test_another_secret_than_that_of_the_endpoint_signs_nothing(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    endpoint = await webhooks.add(integrator.url, [], NOW)
    integrator.secrets.append((await webhooks.add("https://example.com", [], NOW)).secret)
    await webhooks.remove(next(each.id for each in await webhooks.all() if each.url == "https://example.com"))
    await webhooks.publish(an_event(), NOW)
    await sender.deliver_due(NOW)
    assert await state_of(webhooks, endpoint) == ("pending", 1, "401")


async def test_only_who_wants_to_hear_of_a_kind_is_told(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    await endpoint_at(webhooks, integrator, "booking.cancelled", path="/cancelled")
    await endpoint_at(webhooks, integrator, path="/all")
    assert await webhooks.publish(an_event(), NOW) == 1
    assert await webhooks.publish(an_event(2, "booking.cancelled"), NOW) == 2
    await sender.deliver_due(NOW)
    assert sorted(each.path for each in integrator.asked) == ["/all", "/all", "/cancelled"]


async def test_an_event_that_is_published_twice_is_told_once(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    await endpoint_at(webhooks, integrator)
    for _ in range(2):
        await webhooks.publish(an_event(), NOW)
        await sender.deliver_due(NOW)
    assert len(integrator.told) == 1


async def test_two_senders_at_once_tell_everything_once(webhooks: Webhooks, integrator: Integrator) -> None:
    await endpoint_at(webhooks, integrator)
    for number in range(10):
        await webhooks.publish(an_event(number), NOW)
    async with sender_of(webhooks) as one, sender_of(webhooks) as other:
        counts = await asyncio.gather(one.deliver_due(NOW), other.deliver_due(NOW))
    assert sum(counts) == 10
    assert sorted(event_id for event_id, _ in integrator.told) == sorted(f"v_{number}" for number in range(10))


async def test_what_a_dead_sender_had_claimed_is_told_by_the_next_one(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    endpoint = await endpoint_at(webhooks, integrator)
    await webhooks.publish(an_event(), NOW)
    (due,) = await webhooks.due(endpoint.id, NOW, 10)
    claimed = await webhooks.claim(due, NOW, LEASE)
    assert claimed is not None

    assert await sender.deliver_due(NOW + LEASE - MINUTE) == 0
    assert await sender.deliver_due(NOW + LEASE) == 1
    await webhooks.settle(claimed, "dead", "too late", NOW)  # it was not dead but slow, and holds it no more
    assert await state_of(webhooks, endpoint) == ("delivered", 2, "204")


# --- what goes wrong --------------------------------------------------------------------------------------------------

# what happens -> the fault in line, the code that is kept
FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "a fault of theirs": ({"status": 500, "body": "<html>sorry</html>"}, "500"),
    "a page that is not there": ({"status": 404}, "404"),
    "a way to somewhere else": ({"status": 308, "headers": {"Location": "/elsewhere"}}, "308"),
    "a lost connection": ({"is_dropped": True}, "connection"),
    "an answer that is lost after it was heard": ({"is_dropped": True, "is_done": True}, "connection"),
    "an answer that comes too late": ({"delay_s": 4 * SOON_S}, "timeout"),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_after_any_failure_it_is_told_again_under_the_same_id(
    webhooks: Webhooks, integrator: Integrator, case: str
) -> None:
    fault, code = FAILURES[case]
    integrator.fail("/hook", **fault)
    endpoint = await endpoint_at(webhooks, integrator)
    await webhooks.publish(an_event(), NOW)
    async with sender_of(webhooks, provider_timeout_s=SOON_S if "delay_s" in fault else PATIENT_S) as sender:
        await sender.deliver_due(NOW)
        assert await state_of(webhooks, endpoint) == ("pending", 1, code)
        await sender.deliver_due(NOW + A_WHILE)
    assert await state_of(webhooks, endpoint) == ("delivered", 2, "204")
    assert [each.path for each in integrator.asked] == ["/hook", "/hook"]
    assert {each.headers["webhook-id"] for each in integrator.asked} == {"v_1"}


async def test_the_pauses_grow_and_after_eight_attempts_it_is_dead(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    integrator.fail("/hook", times=MOST_ATTEMPTS, status=503)
    endpoint = await endpoint_at(webhooks, integrator)
    await webhooks.publish(an_event(), NOW)

    now = NOW
    for attempt, pause in enumerate(PAUSES, start=1):
        assert await sender.deliver_due(now) == 1
        assert await state_of(webhooks, endpoint) == ("pending", attempt, "503")
        assert await sender.deliver_due(now + pause - timedelta(seconds=1)) == 0
        now += pause * 1.2
    assert await sender.deliver_due(now) == 1
    assert await state_of(webhooks, endpoint) == ("dead", MOST_ATTEMPTS, "503")
    assert len(integrator.asked) == MOST_ATTEMPTS == 8
    assert sender.outcomes == {"failed": 8, "dead": 1}


@pytest.mark.parametrize(("header", "pause"), [("3600", HOUR), ("1", PAUSES[0])])
async def test_who_asks_for_a_longer_pause_gets_it_and_nobody_gets_a_shorter_one(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator, header: str, pause: timedelta
) -> None:
    integrator.fail("/hook", status=429, headers={"Retry-After": header})
    await endpoint_at(webhooks, integrator)
    await webhooks.publish(an_event(), NOW)
    await sender.deliver_due(NOW)
    assert await sender.deliver_due(NOW + pause - timedelta(milliseconds=1)) == 0
    assert await sender.deliver_due(NOW + pause * 1.2) == 1


async def test_an_endpoint_that_is_dead_costs_the_others_nothing(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    with Integrator() as gone:
        await endpoint_at(webhooks, gone)
    await endpoint_at(webhooks, integrator)
    await webhooks.publish(an_event(), NOW)
    assert await sender.deliver_due(NOW) == 2
    assert len(integrator.told) == 1


async def test_an_endpoint_that_is_gone_is_disabled_at_once_and_somebody_is_told(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    integrator.fail("/hook", status=410)
    endpoint = await endpoint_at(webhooks, integrator)
    await webhooks.publish(an_event(), NOW)
    with structlog.testing.capture_logs() as lines:
        await sender.deliver_due(NOW)

    (line,) = [each for each in lines if each["log_level"] == "error"]
    assert (line["endpoint"], line["why"]) == (endpoint.id, "it answers 410 Gone")
    assert sender.outcomes["disabled"] == 1
    assert (await present(webhooks, endpoint)).disabled_at == NOW
    assert await webhooks.publish(an_event(2), NOW) == 0
    assert await sender.deliver_due(NOW + A_WHILE) == 0
    assert await state_of(webhooks, endpoint) == ("dead", 1, "disabled")
    assert (await webhooks.counts())["disabled"] == 1


async def test_an_endpoint_that_heard_nothing_for_five_days_is_disabled(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    integrator.fail("/hook", times=3, status=500)
    endpoint = await endpoint_at(webhooks, integrator)
    for number, now in enumerate((NOW, NOW + DISABLED_AFTER - MINUTE, NOW + DISABLED_AFTER)):
        assert (await present(webhooks, endpoint)).disabled_at is None
        await webhooks.publish(an_event(number), now)
        (due,) = [each for each in await webhooks.due(endpoint.id, now, 10) if each.event_id == f"v_{number}"]
        await sender._attempt(endpoint, due, now)
    disabled = await present(webhooks, endpoint)
    assert (disabled.disabled_at, disabled.disabled_why) == (NOW + DISABLED_AFTER, "nothing has arrived for 5 days")


async def test_one_success_begins_the_five_days_anew(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    endpoint = await endpoint_at(webhooks, integrator)
    integrator.fail("/hook", status=500)
    await webhooks.publish(an_event(1), NOW)
    await sender.deliver_due(NOW)
    assert (await present(webhooks, endpoint)).failing_since == NOW
    await sender.deliver_due(NOW + DAY)
    assert (await present(webhooks, endpoint)).failing_since is None

    integrator.fail("/hook", status=500)
    await webhooks.publish(an_event(2), NOW + 6 * DAY)
    await sender.deliver_due(NOW + 6 * DAY)
    assert (await present(webhooks, endpoint)).disabled_at is None


# --- again ------------------------------------------------------------------------------------------------------------


async def test_one_delivery_is_told_again_on_request(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    endpoint = await endpoint_at(webhooks, integrator)
    await webhooks.publish(an_event(), NOW)
    assert await webhooks.replay(delivery_id(endpoint.id, "v_1"), NOW) == 0  # it is still on its way
    await sender.deliver_due(NOW)
    assert await webhooks.replay(delivery_id(endpoint.id, "v_1"), NOW + MINUTE) == 1
    await sender.deliver_due(NOW + MINUTE)
    assert [event_id for event_id, _ in integrator.told] == ["v_1", "v_1"]
    assert await webhooks.replay("nothing", NOW) == 0


async def test_everything_since_a_moment_is_told_again_and_the_endpoint_is_not_disabled_any_more(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    endpoint = await endpoint_at(webhooks, integrator)
    other = await endpoint_at(webhooks, integrator, path="/other")
    for number in range(4):
        await webhooks.publish(an_event(number), NOW + number * HOUR)
    await sender.deliver_due(NOW + DAY)
    await webhooks.disable(endpoint.id, "it answers 410 Gone", NOW + DAY)
    integrator.told.clear()

    assert await webhooks.replay_since(endpoint.id, NOW + 2 * HOUR, NOW + 2 * DAY) == 2
    assert (await present(webhooks, endpoint)).disabled_at is None
    await sender.deliver_due(NOW + 2 * DAY)
    assert sorted(event_id for event_id, _ in integrator.told) == ["v_2", "v_3"]
    assert await state_of(webhooks, other, 2) == ("delivered", 1, "204")


async def test_who_was_removed_is_told_nothing_more(
    webhooks: Webhooks, sender: WebhookSender, integrator: Integrator
) -> None:
    endpoint = await endpoint_at(webhooks, integrator)
    await webhooks.publish(an_event(), NOW)
    assert await webhooks.remove(endpoint.id)
    assert not await webhooks.remove(endpoint.id)
    assert await sender.deliver_due(NOW) == 0
    assert await webhooks.get(delivery_id(endpoint.id, "v_1")) is None


# --- where they may lead ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0.0.0.0", "[::1]", "[::ffff:7f00:1]"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_no_way_of_writing_our_own_machine_reaches_it(
    webhooks: Webhooks, integrator: Integrator, scheme: str, host: str
) -> None:
    port = integrator.url.rpartition(":")[2]
    endpoint = await webhooks.add(f"{scheme}://{host}:{port}/hook", [], NOW)  # as if the setting had been another one
    await webhooks.publish(an_event(), NOW)
    async with sender_of(webhooks, webhooks_to_private_addresses=False) as sender:
        await sender.deliver_due(NOW)
    assert integrator.asked == []
    assert await state_of(webhooks, endpoint) == ("pending", 1, "address")


@pytest.mark.parametrize(
    ("address", "is_fine"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        *(
            (each, False)
            for each in ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0")
        ),
        *(
            (each, False)
            for each in ("100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255")
        ),
        *((each, False) for each in ("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1")),
        *((each, False) for each in ("::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1")),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
    ],
)
def test_a_public_address_is_one_of_the_internet_and_of_one_machine(address: str, is_fine: bool) -> None:
    assert is_public(address) == is_fine


@pytest.mark.parametrize(
    ("url", "may_be_private", "is_fine"),
    [
        ("https://example.com/hook?x=1", False, True),
        ("https://example.com:8443", False, True),
        ("http://127.0.0.1:8000/hook", True, True),
        ("http://example.com/hook", False, False),
        ("https://127.0.0.1/hook", False, False),
        ("https://[::1]/hook", False, False),
        ("https://user:password@example.com/hook", False, False),
        ("https://example.com/hook#part", False, False),
        ("https://example.com/a hook", False, False),
        ("https://exämple.com/hook", False, False),
        ("https://example.com:port/", False, False),
        ("https://[::1/", True, False),
        ("ftp://example.com", True, False),
        ("file:///etc/passwd", True, False),
        ("https://", True, False),
        ("", True, False),
    ],
)
def test_an_address_is_checked_before_it_is_kept(url: str, may_be_private: bool, is_fine: bool) -> None:
    if is_fine:
        assert check_url(url, may_be_private=may_be_private) == url
    else:
        with pytest.raises(ValueError, match="must be"):
            check_url(url, may_be_private=may_be_private)


# --- the command line -------------------------------------------------------------------------------------------------


def test_systems_are_added_listed_told_again_and_removed_by_a_command(
    servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MONGODB_URI", servers.mongodb_uri or "")
    monkeypatch.setenv("REDIS_URL", servers.redis_url or "")
    monkeypatch.setenv("JANJI_SECRET", SECRET)
    monkeypatch.setenv("JANJI_DATABASE", database)

    assert main(["webhook", "add", "http://10.0.0.1/hook"]) == 2
    assert capsys.readouterr().err == "url must be an address like https://example.com/webhooks\n"
    assert main(["webhook", "add", "https://example.com/hook", "--event", "booking.confirmed"]) == 0
    secret, told = capsys.readouterr()
    endpoint_id = told.split()[0]
    Webhook(secret.strip())
    assert main(["webhook", "list"]) == 0
    listed = capsys.readouterr().out
    assert listed == f"{endpoint_id}  https://example.com/hook  booking.confirmed  told\n"
    assert main(["webhook", "replay", endpoint_id, "--since", "2026-12-01T00:00:00Z"]) == 1
    assert capsys.readouterr().out == "told again: 0\n"
    with pytest.raises(SystemExit):
        main(["webhook", "replay", endpoint_id, "--since", "2026-12-01T00:00:00"])
    assert main(["webhook", "remove", endpoint_id]) == 0
    assert main(["webhook", "remove", endpoint_id]) == 1


def test_without_a_choice_everything_is_told(servers: Servers, database: str) -> None:
    async def added() -> Endpoint:
        client = driver.connect("motor", servers.mongodb_uri or "")
        found = driver.read_database(client, database)
        try:
            return await Webhooks(found["webhook_endpoints"], found["webhook_deliveries"]).add("https://a.b", [], NOW)
        finally:
            await driver.close(client)

    endpoint = asyncio.run(added())
    assert set(endpoint.event_types) == set(EVENT_TYPES)
    assert endpoint.secret not in repr(endpoint)
