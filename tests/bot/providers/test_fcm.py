"""Pushes by Firebase's own library, with keys of our own making, to a double of Google's two endpoints."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bot.providers.fcm import FcmChannel
from bot.providers.messages import Verdict
from bot.providers.opening import open_channels
from bot.providers.pushes import topic_of
from bot.settings.channels import ChannelSettings
from tests.fakes.fcm_api import FcmApi
from tests.workers.messages import NOW, PATIENT_S, SOON_S, a_push, now, verdict_on

SEND = "messages:send"


@pytest.fixture
def firebase() -> Iterator[FcmApi]:
    with FcmApi() as running:
        yield running


@asynccontextmanager
async def channel_to(firebase: FcmApi, **more: Any) -> AsyncIterator[FcmChannel]:
    fields = {"fcm_service_account": json.dumps(firebase.service_account()), "fcm_url": firebase.url}
    settings = ChannelSettings(**{**fields, "provider_timeout_s": PATIENT_S, **more})
    async with open_channels(settings, now) as channels:
        assert channels.fcm is not None
        yield channels.fcm


@pytest.fixture
async def channel(firebase: FcmApi) -> AsyncIterator[FcmChannel]:
    async with channel_to(firebase) as open_channel:
        yield open_channel


async def test_a_push_says_to_every_kind_of_device_what_it_replaces_and_how_long_it_lives(
    firebase: FcmApi, channel: FcmChannel
) -> None:
    receipt = await channel.send(a_push(), "device")

    (message,) = firebase.sent
    topic = topic_of("booking-b_1")
    assert message["token"] == "device"
    assert message["notification"] == {"title": "New booking", "body": "Balinese massage ☕ at 10:00"}
    assert message["data"]["sound"] == "therapist-alert"
    assert message["data"]["booking_id"] == "b_1"
    assert (message["android"]["priority"], message["android"]["ttl"]) == ("high", "3600s")
    assert message["android"]["collapse_key"] == message["android"]["notification"]["tag"] == topic
    assert message["apns"]["headers"] == {
        "apns-collapse-id": topic,
        "apns-expiration": str(int(NOW.timestamp()) + 3600),
        "apns-priority": "10",
        "apns-push-type": "alert",
    }
    assert message["webpush"]["headers"] == {"TTL": "3600", "Urgency": "high", "Topic": topic}
    assert message["webpush"]["fcm_options"] == {"link": "https://janji.example/therapist#b_1"}
    assert (receipt.provider_id or "").startswith("projects/")


async def test_a_push_that_can_wait_does_not_wake_a_phone(firebase: FcmApi, channel: FcmChannel) -> None:
    await channel.send(a_push(urgency="normal", sound=None, url="http://127.0.0.1:8000/chat"), "device")

    (message,) = firebase.sent
    assert message["android"]["priority"] == "normal"
    assert message["apns"]["headers"]["apns-priority"] == "5"
    assert "payload" not in message["apns"]
    assert "sound" not in message["data"]
    assert "fcm_options" not in message["webpush"]


async def test_one_access_token_serves_many_pushes(firebase: FcmApi, channel: FcmChannel) -> None:
    await channel.send(a_push(), "the first")
    await asyncio.gather(*(channel.send(a_push(), f"device {number}") for number in range(20)))

    assert len(firebase.requests("/token")) == 1
    assert len(firebase.sent) == 21


async def test_a_slow_token_endpoint_does_not_hold_up_the_loop(firebase: FcmApi, channel: FcmChannel) -> None:
    firebase.fail("/token", delay_s=SOON_S, status=503)
    sending = asyncio.create_task(verdict_on(channel.send(a_push(), "device")))
    rounds = 0
    while not sending.done():
        await asyncio.sleep(SOON_S / 50)
        rounds += 1
    assert rounds > 10


# what happens -> which error a device gets, or the fault in line and where; what it means; asked how often; sent
FAILURES: dict[str, tuple[str | None, str, dict[str, Any], Verdict, int, int]] = {
    "an app that was removed": (
        *("UNREGISTERED", "", {}),
        *(Verdict("permanent", "UNREGISTERED", is_address_dead=True), 1, 0),
    ),
    "what never was a device": (
        *("INVALID_TOKEN", "", {}),
        *(Verdict("permanent", "INVALID_TOKEN", is_address_dead=True), 1, 0),
    ),
    "a device of another project": (
        *("SENDER_ID_MISMATCH", "", {}),
        *(Verdict("permanent", "SENDER_ID_MISMATCH", is_address_dead=True), 1, 0),
    ),
    "a message that makes no sense": ("INVALID_ARGUMENT", "", {}, Verdict("permanent", "INVALID_ARGUMENT"), 1, 0),
    "a limit": ("QUOTA_EXCEEDED", "", {}, Verdict("retry", "QUOTA_EXCEEDED", 90.0), 1, 0),
    # Upstream takes a 401 for a stale access token, and asks again with two new ones.
    "a key that Apple refuses": (
        *("THIRD_PARTY_AUTH_ERROR", "", {}),
        *(Verdict("config", "THIRD_PARTY_AUTH_ERROR"), 3, 0),
    ),
    "a project that does not exist": (None, SEND, {"status": 404}, Verdict("config", "NOT_FOUND"), 1, 0),
    "an account that may not": (None, SEND, {"status": 403}, Verdict("config", "PERMISSION_DENIED"), 1, 0),
    "a limit of a router": (
        *(None, SEND, {"status": 429, "headers": {"Retry-After": "5"}}),
        *(Verdict("retry", "RESOURCE_EXHAUSTED", 5.0), 1, 0),
    ),
    "a service that is down": (
        *(None, SEND, {"status": 503, "body": "<html>sorry</html>", "headers": {"Retry-After": "11"}}),
        *(Verdict("retry", "UNAVAILABLE", 11.0, is_ambiguous=True), 1, 0),
    ),
    "a fault inside of it": (
        *(None, SEND, {"status": 500}),
        *(Verdict("retry", "INTERNAL", is_ambiguous=True), 1, 0),
    ),
    "a router between us": (
        *(None, SEND, {"status": 502}),
        *(Verdict("retry", "UNKNOWN", is_ambiguous=True), 1, 0),
    ),
    "a lost connection": (
        *(None, SEND, {"is_dropped": True}),
        *(Verdict("retry", "connection", is_ambiguous=True), 1, 0),
    ),
    "an answer that is lost after it was sent": (
        *(None, SEND, {"is_dropped": True, "is_done": True}),
        *(Verdict("retry", "connection", is_ambiguous=True), 1, 1),
    ),
    "an answer that comes too late": (
        *(None, SEND, {"delay_s": 4 * SOON_S, "is_done": True}),
        *(Verdict("retry", "timeout", is_ambiguous=True), 1, 1),
    ),
    "an account that was closed": (
        *(None, "/token", {"status": 400, "body": '{"error": "invalid_grant"}', "content_type": "application/json"}),
        *(Verdict("config", "SERVICE_ACCOUNT_REJECTED"), 0, 0),
    ),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_every_failure_has_its_verdict_and_is_asked_as_often_as_said(firebase: FcmApi, case: str) -> None:
    device_error, path, fault, verdict, asked, sent = FAILURES[case]
    if device_error is not None:
        firebase.errors["device"] = device_error
    if fault:
        firebase.fail(path, **fault)
    async with channel_to(firebase, provider_timeout_s=SOON_S if "delay_s" in fault else PATIENT_S) as channel:
        assert await verdict_on(channel.send(a_push(), "device")) == verdict
    assert len(firebase.requests(SEND)) == asked
    assert len(firebase.sent) == sent


async def test_a_token_endpoint_that_is_down_was_no_push(firebase: FcmApi, channel: FcmChannel) -> None:
    firebase.fail("/token", status=503, times=3)  # upstream asks three times
    assert await verdict_on(channel.send(a_push(), "device")) == Verdict("retry", "TOKEN_ENDPOINT")
    assert firebase.requests(SEND) == []


async def test_an_api_that_is_not_there_was_asked_nothing(firebase: FcmApi) -> None:
    with FcmApi() as gone:
        pass
    async with channel_to(firebase, fcm_url=gone.url) as channel:
        assert await verdict_on(channel.send(a_push(), "device")) == Verdict("retry", "connection")


async def test_channels_open_and_close_any_number_of_times(firebase: FcmApi) -> None:
    for _ in range(3):
        async with channel_to(firebase) as one, channel_to(firebase) as other:
            await one.send(a_push(), "device")
            await other.send(a_push(), "device")
    assert len(firebase.sent) == 6
