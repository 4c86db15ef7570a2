"""The story of readers who stop reading: they cost nobody anything, are cut off, and miss nothing when they return."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

import bot.app
from bot.app import Serving, serving
from bot.feeds.feed import NewEntry
from bot.feeds.feeds import AT_ONCE
from bot.identity import conversation_feed
from bot.runtime.embedded import Servers
from bot.web.streams.outlet import COUNTERS
from tests import stalled
from tests.agreement import eventually
from tests.clients import PATIENCE_S, Guest
from tests.house import settings_for
from tests.rhythms import SWIFT, paced

pytestmark = pytest.mark.slow

ROOMS = [f"c_busy{number}" for number in range(5)]
PATHS = {"server-sent events": "/api/sse/bookings", "websocket": "/ws/bookings"}
# Of each room.
READERS = {"socket.io": 16, "server-sent events": 12, "websocket": 12}
# More than may wait for one reader here, in our queue and in the transport's buffer.
ENTRIES = 96
TEXT = "x" * 1000
# Line after line, or more at once than anybody is sent who has no room for it.
STEPS = {"line after line": AT_ONCE // 2, "many lines at once": 2 * AT_ONCE}
# The connections to the database are kept: as many as the busiest moment needed.
CONNECTIONS_OF_THE_DATABASE = 20
SEQ = re.compile(r'"seq":(\d+)')


@pytest.fixture
async def web(servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    """A process that keeps little for who does not read, and soon sees it, on a machine with small buffers."""
    listen = bot.app._listen

    def listen_with_small_buffers(host: str, port: int, reuse_port: bool) -> socket.socket:
        listening = listen(host, port, reuse_port)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, stalled.SMALL_BUFFER)
        return listening

    monkeypatch.setattr(bot.app, "_listen", listen_with_small_buffers)
    rhythms = paced(SWIFT, streams={"stalled_for_s": 0.3})
    async with serving(settings_for(servers, database, queued_bytes=65_536, rhythms=rhythms)) as process:
        yield process


async def be_busy(web: Serving, step: int) -> None:
    """Everybody talks in every room, so many lines at a time."""
    for start in range(1, ENTRIES + 1, step):
        numbers = range(start, min(start + step, ENTRIES + 1))
        await asyncio.gather(*(say(web, room, numbers) for room in ROOMS))


async def say(web: Serving, room: str, numbers: range) -> None:
    news = [
        NewEntry(f"e_{room}_{number}", "message", {"from": "guest", "text": TEXT, "client_id": f"test-{number}"})
        for number in numbers
    ]
    await web.services.feeds.append_many(conversation_feed(room), news)


def token_of(web: Serving, room: str) -> str:
    return web.services.tokens.sign("guest", room)


async def until_readers(web: Serving, count: int) -> None:
    async def is_so() -> None:
        assert web.services.feeds.readers == count

    await eventually(is_so)


async def until_flat(tasks: int, files: int) -> None:
    """Until nothing is left of those who went: their ends are seen by aiohttp and the kernel, which tell nobody."""

    async def is_so() -> None:
        assert len(asyncio.all_tasks()) <= tasks + 1  # the one that asks
        assert open_files() <= files + CONNECTIONS_OF_THE_DATABASE

    await eventually(is_so)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
async def test_two_hundred_who_stop_reading_cost_nobody_anything_and_miss_nothing(web: Serving, step: int) -> None:
    healthy = [Guest(f"http://127.0.0.1:{web.port}") for _ in ROOMS]
    for client, room in zip(healthy, ROOMS, strict=True):
        await client.connect({"token": token_of(web, room), "since": 0})
    tasks, files, memory_mb = len(asyncio.all_tasks()), open_files(), resident_mb()
    lines = {
        transport: [await stop_reading(web, transport, room) for room in ROOMS for _ in range(count)]
        for transport, count in READERS.items()
    }
    await until_readers(web, len(ROOMS) + sum(map(len, lines.values())))
    # A few say all the time that they are there.
    chatty = [asyncio.create_task(stalled.answer_pings_for_ever(line, 0.2)) for line in lines["socket.io"][::5]]
    await be_busy(web, step)
    for client in healthy:
        await until_read(client)
    await until_readers(web, len(ROOMS))
    await asyncio.wait(chatty)
    counters = web.app[COUNTERS]
    assert counters.slow_readers_aborted == len(lines["server-sent events"]) + len(lines["websocket"])
    assert counters.open.total() == 0
    for line in itertools.chain(*lines.values()):
        line.close()
    await until_flat(tasks, files)
    assert resident_mb() - memory_mb < 40

    async with ClientSession(healthy[0].url) as http:
        for (transport, count), room in itertools.product(READERS.items(), ROOMS):
            back = await asyncio.gather(*(come_back(http, transport, token_of(web, room)) for _ in range(count)))
            assert back == [list(range(1, ENTRIES + 1))] * count
    for client in healthy:
        await client.close()


async def until_read(client: Guest) -> None:
    """Until the client has every line, in order and once."""
    await client.until(lambda: len(client.entries) >= ENTRIES, "every line")
    assert [entry["seq"] for entry in client.entries] == list(range(1, ENTRIES + 1))


async def stop_reading(web: Serving, transport: str, room: str) -> socket.socket:
    token = token_of(web, room)
    if transport == "socket.io":
        return await stalled.socket_io(web.port, "/guest", {"token": token, "since": 0})
    come = stalled.websocket if transport == "websocket" else stalled.request
    return await come(web.port, f"{PATHS[transport]}?since=0", f"Authorization: Bearer {token}")


async def come_back(http: ClientSession, transport: str, token: str) -> list[int]:
    """The numbers that somebody gets who has read nothing; whoever is too slow again comes again, with their cursor."""
    numbers: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(numbers) < ENTRIES:
            async with listening(http, transport, token, since=len(numbers)) as texts:
                async for text in texts:
                    numbers += map(int, SEQ.findall(text))
                    if len(numbers) >= ENTRIES:
                        break
    return numbers


@asynccontextmanager
async def listening(http: ClientSession, transport: str, token: str, since: int) -> AsyncIterator[AsyncIterator[str]]:
    """What is sent to one who comes in with this cursor, until they are cut off or go."""
    if transport == "socket.io":
        async with http.ws_connect("/socket.io/?EIO=4&transport=websocket") as socket:
            await socket.send_str(f"40/guest,{json.dumps({'token': token, 'since': since})}")
            yield (message.data async for message in socket)
        return
    options: Any = {"params": {"since": since}, "headers": {"Authorization": f"Bearer {token}"}}
    if transport == "websocket":
        async with http.ws_connect(PATHS[transport], **options) as socket:
            yield (message.data async for message in socket)
    else:
        async with http.get(PATHS[transport], **options) as answer:
            yield (line.decode() async for line in answer.content)


@pytest.mark.parametrize("transport", PATHS)
async def test_a_stream_that_is_read_slowly_is_not_cut_off(web: Serving, transport: str) -> None:
    counters = web.app[COUNTERS]
    come = stalled.websocket if transport == "websocket" else stalled.request
    line = await come(web.port, f"{PATHS[transport]}?since=0", f"Authorization: Bearer {token_of(web, ROOMS[0])}")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * stalled.SMALL_BUFFER)
    await until_readers(web, 1)
    await say(web, ROOMS[0], range(1, 101))
    read = b""
    while b'"seq":100,' not in read:
        read += await asyncio.get_running_loop().sock_recv(line, 2 * stalled.SMALL_BUFFER)
        await asyncio.sleep(0.05)  # a line on which this takes longer than a reader may do nothing
    assert counters.slow_readers_aborted == 0
    line.close()
