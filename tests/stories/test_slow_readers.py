"""The story of readers who stop reading: they cost nobody anything, are cut off, and miss nothing when they return."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

import bot.app
import bot.doors.outlet
from bot.app import Serving, serving
from bot.doors.outlet import COUNTERS
from bot.doors.socketio_limits import Limits
from bot.embedded import Servers
from bot.feeds import AT_ONCE, NewEntry
from bot.perform import conversation_feed
from tests import stalled
from tests.agreement import eventually
from tests.clients import Guest, guest
from tests.house import settings_for

ROOMS = [f"c_busy{number}" for number in range(10)]
# More than may wait for one reader: 256 frames, or 512 kB.
ENTRIES = 384
# The connections to the database are kept: as many as the busiest moment needed.
CONNECTIONS_OF_THE_DATABASE = 20
TEXT = "x" * 2000


@pytest.fixture
async def web(servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    """A process that takes little time to see that somebody does not read, on a machine with small buffers."""
    listen = bot.app._listen

    def listen_with_small_buffers(host: str, port: int, reuse_port: bool) -> socket.socket:
        listening = listen(host, port, reuse_port)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, stalled.SMALL_BUFFER)
        return listening

    monkeypatch.setattr(bot.app, "_listen", listen_with_small_buffers)
    monkeypatch.setattr(bot.doors.outlet, "STALLED_FOR_S", 0.3)
    monkeypatch.setattr(bot.app, "Limits", partial(Limits, stalled_for_s=0.3))
    async with serving(settings_for(servers, database)) as process:
        yield process


async def be_busy(web: Serving, first: int, step: int = 20) -> None:
    """Everybody talks in every room, so many lines at a time."""
    for start in range(first, first + ENTRIES, step):
        await asyncio.gather(*(say(web, room, range(start, start + step)) for room in ROOMS))


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


async def test_two_hundred_and_fifty_who_stop_reading_cost_nobody_anything_and_miss_nothing(web: Serving) -> None:
    healthy = [Guest(f"http://127.0.0.1:{web.port}") for _ in ROOMS]
    for client, room in zip(healthy, ROOMS, strict=True):
        await client.connect({"token": token_of(web, room), "since": 0})
    tasks, files = len(asyncio.all_tasks()), open_files()
    memory_mb = []
    for wave in (0, 1):
        lines = await be_many_who_stop_reading(web, since=wave * ENTRIES)
        # A few say all the time that they are there.
        chatty = [asyncio.create_task(stalled.answer_pings_for_ever(line, 0.2)) for line in lines[::5]]
        # At first line by line, then more at once than anybody is sent who has no room for it.
        await be_busy(web, wave * ENTRIES + 1, step=AT_ONCE // 2 if wave == 0 else 2 * AT_ONCE)
        await asyncio.gather(*(until_read(client, (wave + 1) * ENTRIES) for client in healthy))
        await until_readers(web, len(ROOMS))
        await asyncio.wait(chatty)
        for line in lines:
            line.close()
        await until_flat(tasks, files)
        memory_mb.append(resident_mb())
    assert memory_mb[1] - memory_mb[0] < 40

    for room in ROOMS:
        async with guest(healthy[0].url, token=token_of(web, room), since=ENTRIES) as back:
            await until_read(back, 2 * ENTRIES, since=ENTRIES)
    for client in healthy:
        await client.close()


async def be_many_who_stop_reading(web: Serving, since: int) -> list[socket.socket]:
    comes = [
        await stalled.socket_io(web.port, "/guest", {"token": token_of(web, room), "since": since})
        for room in ROOMS * 13
    ]
    await until_readers(web, len(ROOMS) + len(comes))
    return comes


async def until_read(client: Guest, seq: int, since: int = 0) -> None:
    """Until the client has everything up to this number, in order and once."""
    await client.until(lambda: len(client.entries) >= seq - since, f"{seq} entries")
    assert [entry["seq"] for entry in client.entries] == list(range(since + 1, seq + 1))


STREAMS = {"server-sent events": "/api/sse/bookings?since=0", "websocket": "/ws/bookings?since=0"}


@pytest.mark.parametrize("transport", STREAMS)
async def test_a_stream_that_nobody_reads_is_cut_off_and_leaves_nothing_behind(web: Serving, transport: str) -> None:
    counters = web.app[COUNTERS]
    tasks, files, memory_mb = len(asyncio.all_tasks()), open_files(), resident_mb()
    come = stalled.websocket if transport == "websocket" else stalled.request
    lines = [
        await come(web.port, STREAMS[transport], f"Authorization: Bearer {token_of(web, room)}")
        for room in ROOMS
        for _ in range(10)
    ]
    await until_readers(web, len(lines))
    await be_busy(web, 1)
    await until_readers(web, 0)
    assert (counters.open.total(), counters.slow_readers_aborted) == (0, len(lines))
    for line in lines:
        line.close()
    await until_flat(tasks, files)
    assert resident_mb() - memory_mb < 40


@pytest.mark.parametrize("transport", STREAMS)
async def test_a_stream_that_is_read_slowly_is_not_cut_off(web: Serving, transport: str) -> None:
    counters = web.app[COUNTERS]
    come = stalled.websocket if transport == "websocket" else stalled.request
    line = await come(web.port, STREAMS[transport], f"Authorization: Bearer {token_of(web, ROOMS[0])}")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * stalled.SMALL_BUFFER)
    await until_readers(web, 1)
    await say(web, ROOMS[0], range(1, 101))
    read = b""
    while b'"seq":100,' not in read:
        read += await asyncio.get_running_loop().sock_recv(line, 2 * stalled.SMALL_BUFFER)
        await asyncio.sleep(0.05)  # a line on which this takes longer than a reader may do nothing
    assert counters.slow_readers_aborted == 0
    line.close()
