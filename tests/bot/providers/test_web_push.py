"""Web Push by the real library, to a push service that decrypts what it is handed and checks who signed it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.providers.messages import Verdict
from bot.providers.opening import open_channels
from bot.providers.pushes import topic_of
from bot.providers.web_push import WebPushChannel
from bot.schemas.webpush import is_known_service
from bot.settings.channels import PUSH_SERVICES, ChannelSettings
from bot.settings.vapid import new_private_key, public_key_of
from tests.fakes.push_service import PushService
from tests.workers.messages import PATIENT_S, SOON_S, a_push, now, verdict_on

KEY = new_private_key()


@pytest.fixture
def vendor() -> Iterator[PushService]:
    with PushService() as running:
        yield running


@asynccontextmanager
async def channel_to(vendor: PushService, **more: Any) -> AsyncIterator[WebPushChannel]:
    fields = {"vapid_private_key": KEY, "vapid_subject": "mailto:operator@janji.example", "push_services": vendor.url}
    settings = ChannelSettings(**{**fields, "provider_timeout_s": PATIENT_S, **more})
    async with open_channels(settings, now) as channels:
        assert channels.web_push is not None
        yield channels.web_push


@pytest.fixture
async def channel(vendor: PushService) -> AsyncIterator[WebPushChannel]:
    async with channel_to(vendor) as open_channel:
        yield open_channel


async def test_a_browser_reads_what_was_sent_and_its_vendor_knows_how_urgent_it_is(
    vendor: PushService, channel: WebPushChannel
) -> None:
    receipt = await channel.send(a_push(), vendor.subscribe())

    ((headers, payload),) = vendor.shown
    assert payload == {
        "title": "New booking",
        "body": "Balinese massage ☕ at 10:00",
        "url": "https://janji.example/therapist#b_1",
        "tag": "booking-b_1",
        "urgency": "urgent",
        "sound": "therapist-alert",
        "booking_id": "b_1",
    }
    assert (headers["Urgency"], headers["TTL"], headers["Topic"]) == ("high", "3600", topic_of("booking-b_1"))
    assert (receipt.provider_id or "").startswith(f"{vendor.url}/message/")


async def test_the_vendor_is_shown_the_key_that_pages_subscribe_with(
    vendor: PushService, channel: WebPushChannel
) -> None:
    await channel.send(a_push(), vendor.subscribe())
    assert vendor.shown[0][0]["Authorization"].endswith(f",k={public_key_of(KEY)}")


@pytest.mark.parametrize("key", ["b", "booking-b_1", "☕" * 100])
def test_a_topic_is_thirty_two_characters_that_every_service_takes(key: str) -> None:
    assert len(topic_of(key)) == 32
    assert topic_of(key).replace("-", "").replace("_", "").isalnum()
    assert topic_of(key) == topic_of(str(key))
    assert topic_of(key) != topic_of(key + "1")


async def test_a_subscription_that_was_ended_is_dead(vendor: PushService, channel: WebPushChannel) -> None:
    subscription = vendor.subscribe()
    vendor.unsubscribe(subscription)
    dead = Verdict("permanent", "410", is_address_dead=True)
    assert await verdict_on(channel.send(a_push(), subscription)) == dead


async def test_more_than_a_push_can_carry_is_refused(vendor: PushService, channel: WebPushChannel) -> None:
    assert await verdict_on(channel.send(a_push(body="x" * 5000), vendor.subscribe())) == Verdict("permanent", "413")


# what happens -> the fault in line, what it means, what was shown
FAILURES: dict[str, tuple[dict[str, Any], Verdict, int]] = {
    "a subscription that never was": ({"status": 404}, Verdict("permanent", "404", is_address_dead=True), 0),
    "a request that makes no sense": ({"status": 400}, Verdict("permanent", "400"), 0),
    "a key that is not ours": ({"status": 403}, Verdict("config", "403"), 0),
    "a signature that was not understood": ({"status": 401}, Verdict("config", "401"), 0),
    "a limit": ({"status": 429, "headers": {"Retry-After": "30"}}, Verdict("retry", "429", 30.0), 0),
    "a service that is down": (
        {"status": 503, "body": "<html>", "headers": {"Retry-After": "Tue, 01 Dec 2026 03:00:09 GMT"}},
        *(Verdict("retry", "503", 9.0, is_ambiguous=True), 0),
    ),
    "a way to somewhere else": ({"status": 307, "headers": {"Location": "/x"}}, Verdict("permanent", "307"), 0),
    "a lost connection": ({"is_dropped": True}, Verdict("retry", "connection", is_ambiguous=True), 0),
    "an answer that is lost after it was shown": (
        {"is_dropped": True, "is_done": True},
        *(Verdict("retry", "connection", is_ambiguous=True), 1),
    ),
    "an answer that comes too late": (
        {"delay_s": 4 * SOON_S, "is_done": True},
        *(Verdict("retry", "timeout", is_ambiguous=True), 1),
    ),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_every_failure_has_its_verdict_and_is_asked_once(vendor: PushService, case: str) -> None:
    fault, verdict, shown = FAILURES[case]
    vendor.fail("/push/", **fault)
    async with channel_to(vendor, provider_timeout_s=SOON_S if "delay_s" in fault else PATIENT_S) as channel:
        assert await verdict_on(channel.send(a_push(), vendor.subscribe())) == verdict
    assert len(vendor.asked) == 1
    assert len(vendor.shown) == shown


async def test_a_service_that_is_not_there_was_asked_nothing() -> None:
    with PushService() as gone:
        subscription = gone.subscribe()
    async with channel_to(gone) as channel:
        assert await verdict_on(channel.send(a_push(), subscription)) == Verdict("retry", "connection")


async def test_a_subscription_that_leads_anywhere_else_is_dead_and_nobody_is_asked(vendor: PushService) -> None:
    async with channel_to(vendor, push_services="push.example.com") as channel:
        verdict = await verdict_on(channel.send(a_push(), vendor.subscribe()))
    assert verdict == Verdict("permanent", "foreign-endpoint", is_address_dead=True)
    assert vendor.asked == []


@pytest.mark.parametrize(
    "keys", [{}, {"p256dh": "x", "auth": "y"}, {"p256dh": "B" * 87, "auth": "A" * 22}, {"p256dh": "B" * 87}, None]
)
async def test_keys_that_no_browser_has_made_are_dead_and_nobody_is_asked(
    vendor: PushService, channel: WebPushChannel, keys: Any
) -> None:
    subscription = {**vendor.subscribe(), "keys": keys}
    verdict = await verdict_on(channel.send(a_push(), subscription))
    assert verdict == Verdict("permanent", "malformed", is_address_dead=True)
    assert vendor.asked == []


@pytest.mark.parametrize(
    ("endpoint", "is_known"),
    [
        ("http://127.0.0.1:8123/push/1", True),
        ("http://127.0.0.1:81234/push/1", False),
        ("http://127.0.0.1/push/1", False),
        ("https://127.0.0.1:8123/push/1", False),
        ("http://127.0.0.1:8123@evil.example/1", False),
        ("https://web.push.apple.com/1", True),
    ],
)
def test_a_service_on_our_own_machine_is_known_by_its_origin(endpoint: str, is_known: bool) -> None:
    assert is_known_service(endpoint, (*PUSH_SERVICES, "http://127.0.0.1:8123")) == is_known
