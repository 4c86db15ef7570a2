"""Tokens as people meet them: a new one with every visit to the site, and the end of all of them in a second."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import ClientSession

from bot.runtime.embedded import Servers
from tests.clients import PATIENCE_S, guest, therapist
from tests.house import House, house_of, settings_for
from tests.processes import environment_of
from tests.project import ROOT
from tests.stories.test_transports import Stream, bearer

pytestmark = pytest.mark.slow


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def test_a_guest_comes_back_with_either_token_and_stands_where_they_stood(house: House) -> None:
    async with guest(house.url) as budi:
        await budi.book()
        first, conversation_id = budi.token, budi.session["conversation_id"]
    for lost_the_answer in (True, False, True):
        async with guest(house.url, token=first) as again:
            assert (again.session["conversation_id"], again.state) == (conversation_id, "confirming")
            assert again.token != first
            first = first if lost_the_answer else again.token


async def test_the_session_over_http_brings_another_token_too(house: House, http: ClientSession) -> None:
    async def session(token: str | None) -> dict[str, str]:
        body = {"token": token} if token else {}
        async with http.post(f"{house.url}/api/guest/session", json=body) as response:
            answer: dict[str, str] = await response.json()
            return answer

    first = await session(None)
    second = await session(first["token"])
    assert second["conversation_id"] == first["conversation_id"]
    assert second["token"] != first["token"]


async def test_signing_a_therapist_out_closes_whatever_is_open_in_every_process(
    servers: Servers, database: str, http: ClientSession
) -> None:
    settings = settings_for(servers, database)
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(house_of(settings)) for _ in range(2)]
        sari, ayu = await one.add_therapist(), await one.add_therapist()
        token = one.token_of(sari)
        phone, desk = [await stack.enter_async_context(therapist(house.url, token)) for house in (one, two)]
        somebody_else = await stack.enter_async_context(therapist(one.url, one.token_of(ayu)))
        stream = Stream(await stack.enter_async_context(http.get(f"{two.url}/api/sse/bookings", headers=bearer(token))))
        socket = await stack.enter_async_context(http.ws_connect(f"{one.url}/ws/bookings", headers=bearer(token)))
        assert (await stream.event())[0] == "start"
        await socket.receive_json(timeout=PATIENCE_S)

        command = ("-m", "bot", "therapist", "sign-out", sari.phone)
        running = await asyncio.create_subprocess_exec(
            sys.executable, *command, env=environment_of(settings), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await running.communicate()
        assert (running.returncode, said.decode()) == (0, f"{sari.id} {sari.name} is signed out everywhere\n")

        for console in (phone, desk):
            await console.until_cut_off()
        assert (await stream.event())[0] == "end"
        assert (await socket.receive(timeout=PATIENCE_S)).type is aiohttp.WSMsgType.CLOSE
        async with http.get(f"{one.url}/api/poll/bookings?wait=0", headers=bearer(token)) as response:
            assert response.status == 401
        assert not somebody_else.is_cut_off
        again = await one.services.access.sign_in(sari.id)
        await stack.enter_async_context(therapist(two.url, again))


async def test_nobody_is_signed_out_by_a_number_that_nobody_has(servers: Servers, database: str) -> None:
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bot", "therapist", "sign-out", "0812-9999-9999"),
        env=environment_of(settings_for(servers, database)),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await running.communicate()
    assert (running.returncode, said.decode()) == (1, "nobody has the phone number +6281299999999\n")
