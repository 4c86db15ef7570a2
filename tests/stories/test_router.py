"""The story of a quiet hour behind a platform's router: nobody is cut off, since something is said often enough."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientPayloadError, ClientSession, ClientWebSocketResponse

from bot.runtime.embedded import Servers
from bot.schemas.requests import LONGEST_POLL_S
from bot.settings.rhythms import PEOPLE
from bot.settings.settings import Settings
from tests.clients import PATIENCE_S, guest
from tests.fakes.router import Router, router
from tests.house import house_of, settings_for
from tests.rhythms import paced
from tests.stories.test_transports import bearer, sse

pytestmark = pytest.mark.slow

# So many times faster than real time, for the router's limits and for what we do about them.
SCALE = 30.0
WINDOWS = 2


async def poll(http: ClientSession, token: str, since: int, wait_s: float) -> tuple[int, dict[str, Any]]:
    query = {"since": str(since), "wait": str(wait_s)}
    async with http.get("/api/poll/bookings", params=query, headers=bearer(token)) as response:
        return response.status, await response.json() if response.status == 200 else {}


async def poll_for_ever(http: ClientSession, token: str) -> list[dict[str, Any]]:
    """One quiet poll after the other, as the page sends them, until there is something."""
    while True:
        status, answer = await poll(http, token, 0, LONGEST_POLL_S / SCALE)
        assert status == 200
        if answer["entries"]:
            return list(answer["entries"])


async def read_frames(socket: ClientWebSocketResponse, count: int) -> list[dict[str, Any]]:
    return [await socket.receive_json(timeout=PATIENCE_S) for _ in range(count)]


async def quiet(platform: Router) -> None:
    """As many windows of silence as would end every line on which nothing is said."""
    await asyncio.sleep(WINDOWS * platform.silence_s)


async def test_every_transport_outlives_the_silence_that_a_router_cuts(servers: Servers, database: str) -> None:
    ping_interval_s = Settings.model_fields["ping_interval_s"].default / SCALE
    rhythms = paced(streams={"heartbeat_s": PEOPLE.streams.heartbeat_s / SCALE})
    settings = settings_for(servers, database, ping_interval_s=ping_interval_s, rhythms=rhythms)
    async with (
        house_of(settings) as left,
        house_of(settings) as right,
        router([left.url, right.url], SCALE) as platform,
        ClientSession(platform.url) as http,
        guest(platform.url) as budi,
        sse(http, "/api/sse/bookings?since=0&locale=en", budi.token) as events,
        http.ws_connect("/ws/bookings?since=0&locale=en", headers=bearer(budi.token)) as frames,
    ):
        polling = asyncio.create_task(poll_for_ever(http, budi.token))
        reading = asyncio.create_task(read_frames(frames, 4))  # who does not read does not answer pings
        assert (await events.event())[0] == "start"
        await quiet(platform)
        assert platform.log == []
        assert not budi.is_cut_off
        await budi.book()
        read = [entry["seq"] for entry in await events.entries(3)]
        assert read == [frame["seq"] for frame in (await reading)[1:]]
        assert [entry["seq"] for entry in await polling] == read[: len(await polling)]
        assert platform.log == []


async def test_the_router_of_these_tests_cuts_what_is_silent_for_too_long(servers: Servers, database: str) -> None:
    settings = settings_for(servers, database)
    async with (
        house_of(settings) as house,
        router([house.url], 10 * SCALE) as platform,
        ClientSession(platform.url) as http,
    ):
        token = house.tokens.sign("guest", "c_somebody")
        assert await poll(http, token, 0, 20.0) == (503, {})
        async with sse(http, "/api/sse/bookings?since=0", token) as events:
            assert (await events.event())[0] == "start"
            with pytest.raises(ClientPayloadError):
                await events.response.content.read()
        assert platform.log == ["H12", "H15"]
