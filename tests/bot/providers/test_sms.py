"""Short messages by Twilio's own library, to a double of its API that can fail in every way."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from twilio.request_validator import RequestValidator

from bot.providers.messages import Verdict
from bot.providers.opening import open_channels
from bot.providers.sms import SmsChannel
from bot.settings.channels import ChannelSettings
from tests.fakes.provider import Provider
from tests.fakes.twilio_api import ACCOUNT, TOKEN, TwilioApi
from tests.workers.messages import PATIENT_S, SOON_S, an_sms, now, verdict_on

NUMBER = "+15005550006"
SERVICE = "MG" + "1" * 32


@pytest.fixture
def twilio() -> Iterator[TwilioApi]:
    with TwilioApi() as running:
        yield running


@asynccontextmanager
async def channel_to(twilio: TwilioApi, **more: Any) -> AsyncIterator[SmsChannel]:
    fields = {"twilio_account_sid": ACCOUNT, "twilio_auth_token": TOKEN, "twilio_from": NUMBER}
    settings = ChannelSettings(**{**fields, "twilio_api_url": twilio.url, "provider_timeout_s": PATIENT_S, **more})
    async with open_channels(settings, now) as channels:
        assert channels.sms is not None
        yield channels.sms


@pytest.fixture
async def channel(twilio: TwilioApi) -> AsyncIterator[SmsChannel]:
    async with channel_to(twilio) as open_channel:
        yield open_channel


async def test_a_message_is_taken_and_has_an_id(twilio: TwilioApi, channel: SmsChannel) -> None:
    text = "Sari tiba 10:00 — sampai nanti ☕"
    receipt = await channel.send(an_sms(text=text))

    (message,) = twilio.messages
    assert message == {"sid": receipt.provider_id, "To": "+6281234567890", "From": NUMBER, "Body": text}


async def test_a_messaging_service_chooses_the_number(twilio: TwilioApi) -> None:
    async with channel_to(twilio, twilio_from=SERVICE) as channel:
        await channel.send(an_sms())
    assert twilio.messages[0]["MessagingServiceSid"] == SERVICE
    assert "From" not in twilio.messages[0]


class Callbacks(Provider):
    """Our side of the callbacks, as far as it needs to be here: it checks who calls."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, str | None]] = []

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/status", self._hear)]

    async def _hear(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        signature = request.headers["X-Twilio-Signature"]
        if not RequestValidator(TOKEN).validate(f"{self.url}{request.path_qs}", form, signature):
            return web.Response(status=403)
        self.heard.append((str(form["MessageStatus"]), form.get("ErrorCode")))  # type: ignore[arg-type]
        return web.Response(status=204)


async def test_what_becomes_of_a_message_is_told_under_its_address(twilio: TwilioApi, channel: SmsChannel) -> None:
    twilio.undeliverable["+6281299999999"] = 30005
    with Callbacks() as callbacks:
        await channel.send(an_sms(status_url=f"{callbacks.url}/status?n=n_1"))
        twilio.settle()
        assert callbacks.heard == [("sent", None), ("delivered", None)]
        await channel.send(an_sms(to="+6281299999999", status_url=f"{callbacks.url}/status?n=n_2"))
        twilio.settle()
    assert callbacks.heard[2:] == [("sent", None), ("undelivered", "30005")]
    assert twilio.callbacks == [204] * 4


async def test_nothing_warns(twilio: TwilioApi, channel: SmsChannel) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await channel.send(an_sms())


BAD_NUMBER = {"is_address_dead": True}
# what happens -> the message, the fault in line, what it means, how many were taken
FAILURES: dict[str, tuple[dict[str, Any], dict[str, Any], Verdict, int]] = {
    "no number": ({"to": "+15005550001"}, {}, Verdict("permanent", "21211", **BAD_NUMBER), 0),
    "a number out of reach": ({"to": "+15005550002"}, {}, Verdict("permanent", "21612", **BAD_NUMBER), 0),
    "no mobile number": ({"to": "+15005550009"}, {}, Verdict("permanent", "21614", **BAD_NUMBER), 0),
    "a country that is not switched on": ({"to": "+15005550003"}, {}, Verdict("config", "21408"), 0),
    "a person who has answered STOP": ({"to": "+15005550004"}, {}, Verdict("permanent", "21610", is_stopped=True), 0),
    "no text": ({"text": ""}, {}, Verdict("permanent", "21602"), 0),
    "a text that is too long": ({"text": "x" * 1601}, {}, Verdict("permanent", "21617"), 0),
    "a limit": (
        *(
            {},
            {"status": 429, "body": '{"code": 20429, "message": "", "status": 429}', "headers": {"Retry-After": "7"}},
        ),
        *(Verdict("retry", "20429", 7.0), 0),
    ),
    "a limit without a word": ({}, {"status": 429}, Verdict("retry", "429"), 0),
    "a limit until a moment": (
        *({}, {"status": 429, "headers": {"Retry-After": "Tue, 01 Dec 2026 03:02:00 GMT"}}),
        *(Verdict("retry", "429", 120.0), 0),
    ),
    "a service that is down": (
        *({}, {"status": 503, "body": "<html>sorry</html>"}),
        *(Verdict("retry", "503", is_ambiguous=True), 0),
    ),
    "a suspended account": (
        *({}, {"status": 403, "body": '{"code": 30002, "message": "", "status": 403}'}),
        *(Verdict("config", "30002"), 0),
    ),
    "a code that nobody knows": (
        *({}, {"status": 400, "body": '{"code": 29999, "message": "", "status": 400}'}),
        *(Verdict("permanent", "29999"), 0),
    ),
    "a lost connection": ({}, {"is_dropped": True}, Verdict("retry", "connection", is_ambiguous=True), 0),
    "an answer that is lost after it was sent": (
        *({}, {"is_dropped": True, "is_done": True}),
        *(Verdict("retry", "connection", is_ambiguous=True), 1),
    ),
    "an answer that comes too late": (
        *({}, {"delay_s": 4 * SOON_S, "is_done": True}),
        *(Verdict("retry", "timeout", is_ambiguous=True), 1),
    ),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_every_failure_has_its_verdict_and_is_asked_once(twilio: TwilioApi, case: str) -> None:
    message, fault, verdict, taken = FAILURES[case]
    if fault:
        twilio.fail(
            "Messages", content_type="application/json" if "{" in fault.get("body", "") else "text/html", **fault
        )
    async with channel_to(twilio, provider_timeout_s=SOON_S if "delay_s" in fault else PATIENT_S) as channel:
        assert await verdict_on(channel.send(an_sms(**message))) == verdict
    assert len(twilio.asked) == 1
    assert len(twilio.messages) == taken


async def test_a_wrong_token_is_our_own_fault(twilio: TwilioApi) -> None:
    async with channel_to(twilio, twilio_auth_token="another") as channel:
        assert await verdict_on(channel.send(an_sms())) == Verdict("config", "20003")
    assert len(twilio.asked) == 1


async def test_an_api_that_is_not_there_was_asked_nothing() -> None:
    with TwilioApi() as gone:
        pass
    async with channel_to(gone) as channel:
        assert await verdict_on(channel.send(an_sms())) == Verdict("retry", "connection")


async def test_an_api_that_sends_us_elsewhere_is_not_followed(twilio: TwilioApi, channel: SmsChannel) -> None:
    twilio.fail("Messages", status=307, headers={"Location": f"{twilio.url}/elsewhere"})
    assert await verdict_on(channel.send(an_sms())) == Verdict("permanent", "307")
    assert len(twilio.asked) == 1


async def test_texts_and_numbers_travel_in_the_body_alone(twilio: TwilioApi, channel: SmsChannel) -> None:
    await channel.send(an_sms(text="a=1&b=2 +"))
    (asked,) = twilio.asked
    assert asked.path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert parse_qs(asked.body.decode())["Body"] == ["a=1&b=2 +"]
