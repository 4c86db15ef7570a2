"""What people cost a process that are quiet: as little as a platform with little memory has room for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector

from bot.runtime.embedded import Servers
from tests.clients import PATIENCE_S
from tests.fuzz import campaign
from tests.house import settings_for

pytestmark = pytest.mark.slow

# The first ones pay for what all others share.
FIRST, QUIET = 50, 150
MOST_FOR_ONE = 45 * 1024
SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"


@pytest.fixture
async def process(servers: Servers, database: str, tmp_path: Path) -> AsyncIterator[campaign.Served]:
    async with campaign.served(campaign.generous(settings_for(servers, database)), tmp_path) as running:
        yield running


async def come_in(stack: AsyncExitStack, http: ClientSession) -> ClientWebSocketResponse:
    """A new guest, by a client that offers permessage-deflate as browsers do, and has read its snapshot."""
    socket = await stack.enter_async_context(http.ws_connect(SOCKET_IO, compress=15))
    await socket.send_str("40/guest,")
    while "session" not in await socket.receive_str(timeout=PATIENCE_S):
        pass
    return socket


async def test_a_quiet_guest_costs_little_memory(process: campaign.Served) -> None:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(process.url, connector=TCPConnector(limit=0)))
        for _ in range(FIRST):
            await come_in(stack, http)
        before = await process.figures()
        for _ in range(QUIET):
            await come_in(stack, http)
        after = await process.figures()
    assert (after["resident"] - before["resident"]) / QUIET < MOST_FOR_ONE
