"""A therapist's code comes by SMS, in their language; a stranger's number gets nothing, and nobody can tell."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from bot.runtime.embedded import Servers
from bot.services import connected, open_post
from bot.words import Words
from tests.agreement import eventually
from tests.fakes.twilio_api import ACCOUNT, TOKEN, TwilioApi
from tests.house import House, house_of, settings_for
from tests.processes import environment_of
from tests.project import ROOT
from workers.short_messages import segments
from workers.sign_in_codes import send_code, text_of

PHONE = "+6281234567890"


@pytest.fixture
def twilio() -> Iterator[TwilioApi]:
    with TwilioApi() as running:
        yield running


@pytest.fixture
async def house(servers: Servers, database: str, twilio: TwilioApi) -> AsyncIterator[House]:
    account = {"twilio_account_sid": ACCOUNT, "twilio_auth_token": TOKEN, "twilio_from": "+15005550006"}
    async with house_of(settings_for(servers, database, **account, twilio_api_url=twilio.url)) as opened:
        yield opened


async def ask(house: House, phone: str) -> tuple[dict[str, Any], str]:
    """The answer to who asks for a code, and the nonce that the workers are told."""
    async with (
        ClientSession(house.url) as http,
        http.post("/api/therapist/sign-in", json={"phone": phone}) as response,
    ):
        assert response.status == 200
        answer: dict[str, Any] = await response.json()
    kept = await house.services.database["sign_ins"].find_one({"_id": phone})
    nonce: str = kept["codes"][0]["nonce"]
    async with Redis.from_url(house.services.settings.redis_url or "") as courier:
        told = await courier.hgetall(f"rq:job:{house.services.epoch}-code-{nonce}")
    assert told[b"description"] == b"workers.jobs.send_sign_in_code"
    assert told[b"origin"] == f"critical:{house.services.epoch}".encode()
    return answer, nonce


async def test_a_therapist_gets_the_code_in_their_language(house: House, twilio: TwilioApi) -> None:
    await house.add_therapist(phone=PHONE, locale="id")
    answer, nonce = await ask(house, PHONE)
    await send_code(house.services, nonce)
    (message,) = twilio.messages
    assert message["To"] == PHONE
    assert message["Body"] == text_of(house.services.words, "id", answer["demo_code"])


async def test_a_number_that_is_nobodys_and_a_code_that_was_used_lead_to_nothing(
    house: House, twilio: TwilioApi
) -> None:
    await house.add_therapist(phone=PHONE)
    _, nobodys = await ask(house, "+6281299999999")
    _, nonce = await ask(house, PHONE)
    assert await house.services.sign_ins.use(PHONE, nonce)
    for each in (nobodys, nonce, "unheard of"):
        await send_code(house.services, each)
    assert twilio.messages == []


async def test_what_may_be_over_soon_is_tried_again_and_three_times_at_most(house: House, twilio: TwilioApi) -> None:
    await house.add_therapist(phone=PHONE)
    _, nonce = await ask(house, PHONE)
    twilio.fail("Messages", times=2)
    await send_code(house.services, nonce)
    assert len(twilio.messages) == 1
    twilio.fail("Messages", times=3)
    await send_code(house.services, nonce)
    assert len(twilio.messages) == 1


async def test_a_job_that_sends_one_message_needs_no_web_process_and_no_redis(house: House, twilio: TwilioApi) -> None:
    await house.add_therapist(phone=PHONE)
    _, nonce = await ask(house, PHONE)
    without_redis = house.services.settings.model_copy(update={"redis_url": None})
    async with connected(without_redis) as database:
        await send_code(await open_post(without_redis, database), nonce)
    assert len(twilio.messages) == 1


async def test_codes_that_do_not_leave_stand_on_the_status_page_until_one_leaves(
    house: House, twilio: TwilioApi
) -> None:
    async def until(state: str, text: str) -> None:
        async def is_so() -> None:
            async with ClientSession(house.url) as http, http.get("/api/status?locale=en") as response:
                parts = {each["name"]: each for each in (await response.json())["parts"]}
            assert parts["sign_in"]["state"] == state
            assert parts["sign_in"]["text"].startswith(text)

        await eventually(is_so)

    await house.add_therapist(phone=PHONE)
    _, nonce = await ask(house, PHONE)
    await until("ok", "Codes are sent.")
    twilio.fail("Messages", times=3)
    await send_code(house.services, nonce)
    await until("delayed", "A code could not be sent.")
    await send_code(house.services, nonce)
    await until("ok", "Codes are sent.")
    twilio.fail("Messages", status=401, body='{"code": 20003}', content_type="application/json")
    await send_code(house.services, nonce)
    await until("away", "No code could be sent for")


async def test_that_one_number_gets_no_message_says_nothing_about_the_others(house: House, twilio: TwilioApi) -> None:
    await house.add_therapist(phone=PHONE)
    _, nonce = await ask(house, PHONE)
    twilio.fail("Messages", status=400, body='{"code": 21211}', content_type="application/json")
    await send_code(house.services, nonce)
    assert twilio.messages == []
    assert await house.services.breakers.all() == {}


async def test_an_operator_prints_the_code_that_does_not_arrive(house: House) -> None:
    await house.add_therapist(phone=PHONE)
    answer, _ = await ask(house, PHONE)
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot", "therapist", "code", PHONE),
        env=environment_of(house.services.settings),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await running.communicate()
    assert running.returncode == 0
    assert said.decode().startswith(f"{answer['demo_code']} is the code of t_")


def test_the_code_fits_into_one_segment_in_every_language() -> None:
    assert segments(text_of(Words(), "en", "000000")) == segments(text_of(Words(), "id", "000000")) == 1
