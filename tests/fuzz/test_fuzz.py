"""Nonsense on every transport is answered with clear errors, changes nothing and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import ClientSession

from bot.runtime.embedded import Servers
from tests.fuzz import campaign
from tests.house import settings_for

pytestmark = pytest.mark.slow

# The same cases each time, so that a change of the code alone can turn this red; `make fuzz` draws others.
SEED = 20_261
CASES = 1_500


async def test_nonsense_on_every_transport_is_refused_and_leaves_nothing_behind(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    report = await campaign.run(servers, database, tmp_path, count=CASES, seed=SEED)
    assert not report.breaches, "\n".join([str(report), *report.breaches[:5]])
    assert report.wrong > CASES / 2
    assert {"ok", "invalid", "unauthorized", "not_found", "not_now", "too_large", "closed"} <= set(report.told)


async def test_a_hoard_of_binary_attachments_costs_no_memory(servers: Servers, database: str, tmp_path: Path) -> None:
    settings = campaign.generous(settings_for(servers, database))
    async with campaign.served(settings, tmp_path) as house:
        await hoard(house.url)
        before = await house.at_rest()
        for _ in range(20):
            await hoard(house.url)
        after = await house.at_rest()
    assert after["resident"] - before["resident"] < 5_000_000


async def hoard(url: str) -> None:
    """A guest who announces attachments without end, and sends them until the connection is closed."""
    async with ClientSession(url) as http, http.ws_connect("/socket.io/?EIO=4&transport=websocket") as socket:
        await socket.send_str("40/guest,")
        await socket.receive()
        try:
            await socket.send_str('45999999999-/guest,["message",{"_placeholder":true,"num":0}]')
            for _ in range(200):
                await socket.send_bytes(b"x" * 30_000)
        except ConnectionError:
            return
